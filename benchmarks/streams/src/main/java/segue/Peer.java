package segue;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams at the plain fold: the Processor API, a RocksDB store with its changelog, and
 * exactly_once_v2. It runs until it is asked to end. Arguments are name=value:
 *
 * <pre>
 *   brokers application input outputs dir   what to run on
 *   pads                                    words of padding in a state; default 0
 *   cache                                   on (its default size) or off; default off
 *   commit                                  commit.interval.ms; default 100, its own under exactly once
 *   threads                                 num.stream.threads; default 2
 *   transactional                           true: enable.transactional.statestores; default false
 * </pre>
 *
 * The changelog is application-states-changelog. Everything else is as Kafka Streams comes.
 */
public final class Peer {
  private static final String STORE = "states";
  private static final Set<String> REQUIRED = Set.of("brokers", "application", "input", "outputs", "dir");
  private static final Set<String> OPTIONAL = Set.of("pads", "cache", "commit", "threads", "transactional");

  private Peer() {}

  public static void main(String[] arguments) throws InterruptedException {
    Map<String, String> args = parse(arguments);
    boolean cached = args.getOrDefault("cache", "off").equals("on");

    Properties config = new Properties();
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args.get("brokers"));
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, args.get("application"));
    config.put(StreamsConfig.STATE_DIR_CONFIG, args.get("dir"));
    config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, args.getOrDefault("threads", "2"));
    config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, args.getOrDefault("commit", "100"));
    config.put("enable.transactional.statestores", args.getOrDefault("transactional", "false"));
    if (!cached) {
      config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0");
    }
    // A member that is known by name does not wait for its dead self after a kill.
    config.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG), "one");
    config.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");

    KafkaStreams streams =
        new KafkaStreams(topology(args, cached, Integer.parseInt(args.getOrDefault("pads", "0"))), config);
    CountDownLatch failed = new CountDownLatch(1);
    streams.setUncaughtExceptionHandler(
        cause -> {
          cause.printStackTrace();
          failed.countDown();
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofMinutes(2))));
    streams.start();
    failed.await();
    System.exit(1);
  }

  private static Topology topology(Map<String, String> args, boolean cached, int pads) {
    var states =
        Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(STORE), Serdes.ByteArray(), Serdes.ByteArray());
    StoreBuilder<KeyValueStore<byte[], byte[]>> store =
        cached ? states.withCachingEnabled() : states.withCachingDisabled();
    var bytes = Serdes.ByteArray();
    return new Topology()
        .addSource("input", bytes.deserializer(), bytes.deserializer(), args.get("input"))
        .addProcessor("fold", () -> new Step(pads), "input")
        .addStateStore(store, "fold")
        .addSink("outputs", args.get("outputs"), bytes.serializer(), bytes.serializer(), "fold");
  }

  /** One event: read the state, fold, write it, and hand on the output if there is one. */
  private static final class Step implements Processor<byte[], byte[], byte[], byte[]> {
    private final int pads;
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<byte[], byte[]> store;

    Step(int pads) {
      this.pads = pads;
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      this.store = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> event) {
      byte[] known = store.get(event.key());
      // The store may still hold on to the array it gave.
      byte[] state = known == null ? Fold.fresh(pads) : known.clone();
      byte[] output = Fold.apply(state, event.value());
      store.put(event.key(), state);
      if (output != null) {
        context.forward(event.withValue(output));
      }
    }
  }

  private static Map<String, String> parse(String[] arguments) {
    Map<String, String> args = new HashMap<>();
    for (String argument : arguments) {
      String[] pair = argument.split("=", 2);
      if (pair.length != 2 || !(REQUIRED.contains(pair[0]) || OPTIONAL.contains(pair[0]))) {
        throw new IllegalArgumentException(
            "got " + argument + ", want name=value with one of " + REQUIRED + " or " + OPTIONAL);
      }
      args.put(pair[0], pair[1]);
    }
    for (String name : REQUIRED) {
      if (!args.containsKey(name)) {
        throw new IllegalArgumentException("no " + name + "=…");
      }
    }
    return args;
  }
}
