package segue;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import segue.v1.Segment.SegmentChange;

/**
 * Follows segment-changes, a JSON line for each: who entered or left which segment, when and why.
 *
 * <p>A group keeps the place, so the next start goes on where this one stopped. After a crash some
 * changes come again, with the same id as before: let it tell you what is done already.
 */
public final class SegmentChanges {
  public static void main(String[] args) throws InvalidProtocolBufferException {
    var options = new Options(args);
    var json = JsonFormat.printer().omittingInsignificantWhitespace();
    Map<String, Object> settings =
        Map.of(
            "bootstrap.servers", options.brokers,
            "group.id", options.group,
            // What an aborted transaction holds was never said.
            "isolation.level", "read_committed",
            "auto.offset.reset", "earliest",
            "enable.auto.commit", false);
    try (var consumer =
        new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
      consumer.subscribe(List.of(options.prefix + "segment-changes"));
      do {
        for (var record : consumer.poll(Duration.ofMillis(200))) {
          System.out.println(json.print(SegmentChange.parseFrom(record.value())));
        }
        // The place moves on when changes are done with, not when they are read.
        consumer.commitSync();
      } while (!options.untilEnd || !End.reached(consumer));
    }
  }
}
