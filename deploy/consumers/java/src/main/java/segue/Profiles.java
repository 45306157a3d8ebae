package segue;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Struct;
import com.google.protobuf.util.JsonFormat;
import com.google.protobuf.util.Values;
import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import segue.v1.Profile.CustomerProfile;

/**
 * Follows profiles from its beginning, a JSON line for each: what is known of a customer, at most
 * about 30 s old.
 *
 * <p>The topic is compacted: the last line of a customer is what holds, and all there is of others
 * is gone. So nobody keeps a place; whoever starts reads it all, as a table. Deleted, or with
 * forgottenAt, means: delete your copy.
 */
public final class Profiles {
  private static final JsonFormat.Printer JSON =
      JsonFormat.printer().omittingInsignificantWhitespace();

  public static void main(String[] args) throws InvalidProtocolBufferException {
    var options = new Options(args);
    Map<String, Object> settings =
        Map.of(
            "bootstrap.servers", options.brokers,
            // What an aborted transaction holds was never said.
            "isolation.level", "read_committed",
            "enable.auto.commit", false);
    try (var consumer =
        new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
      var partitions =
          consumer.partitionsFor(options.prefix + "profiles").stream()
              .map(p -> new TopicPartition(p.topic(), p.partition()))
              .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      do {
        for (var record : consumer.poll(Duration.ofMillis(200))) {
          System.out.println(row(record));
        }
      } while (!options.untilEnd || !End.reached(consumer));
    }
  }

  private static String row(ConsumerRecord<String, byte[]> record)
      throws InvalidProtocolBufferException {
    if (record.value() == null) {
      return JSON.print(
          Struct.newBuilder()
              .putFields("customer", Values.of(record.key()))
              .putFields("deleted", Values.of(true)));
    }
    // fold is Segue's own, and nobody else's to read.
    return JSON.print(CustomerProfile.parseFrom(record.value()).toBuilder().clearFold());
  }
}
