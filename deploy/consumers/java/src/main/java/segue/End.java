package segue;

import org.apache.kafka.clients.consumer.Consumer;

/** Where a topic ends, for who does not follow it for ever. */
final class End {
  private End() {}

  /** Reports whether everything is read of the partitions that the consumer has, if any. */
  static boolean reached(Consumer<?, ?> consumer) {
    var partitions = consumer.assignment();
    return !partitions.isEmpty()
        && consumer.endOffsets(partitions).entrySet().stream()
            .allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
  }
}
