package segue;

/** What the consumers are told. */
final class Options {
  String brokers = "127.0.0.1:9092";
  /** Of topics, as in segue.yaml. */
  String prefix = "";
  /** Whose place in the topic is kept. */
  String group = "segue-consumer";
  /** Stop at the end of the topic. */
  boolean untilEnd;

  Options(String[] args) {
    for (int i = 0; i < args.length; i++) {
      switch (args[i]) {
        case "--brokers" -> brokers = value(args, ++i);
        case "--prefix" -> prefix = value(args, ++i);
        case "--group" -> group = value(args, ++i);
        case "--until-end" -> untilEnd = true;
        default ->
            throw new IllegalArgumentException(
                args[i] + ": want --brokers, --prefix, --group or --until-end");
      }
    }
  }

  private static String value(String[] args, int i) {
    if (i == args.length) {
      throw new IllegalArgumentException(args[i - 1] + ": want a value after it");
    }
    return args[i];
  }
}
