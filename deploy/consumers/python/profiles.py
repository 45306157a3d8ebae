"""Follows profiles from its beginning, a JSON line for each: what is known of
a customer, at most about 30 s old.

The topic is compacted: the last line of a customer is what holds, and all there
is of others is gone. So nobody keeps a place; whoever starts reads it all, as
a table. Deleted, or with forgottenAt, means: delete your copy.
"""

import argparse
import json

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from google.protobuf.json_format import MessageToDict

from profile_pb2 import CustomerProfile


def row(message):
    if message.value() is None:
        return {"customer": message.key().decode(), "deleted": True}
    profile = CustomerProfile.FromString(message.value())
    profile.ClearField("fold")  # Segue's own, and nobody else's to read
    return MessageToDict(profile)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--brokers", default="127.0.0.1:9092")
    parser.add_argument("--prefix", default="", help="of topics, as in segue.yaml")
    parser.add_argument("--until-end", action="store_true", help="stop at the end of the topic")
    args = parser.parse_args()

    topic = args.prefix + "profiles"
    consumer = Consumer({
        "bootstrap.servers": args.brokers,
        "group.id": "none",  # wanted by the client, and not used
        "enable.auto.commit": False,
        # What an aborted transaction holds was never said.
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
    })
    try:
        found = consumer.list_topics(topic, timeout=30).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in found.partitions])
        unread = set(found.partitions)
        while unread or not args.until_end:
            message = consumer.poll(1)
            if message is None:
                continue
            if message.error() is None:
                print(json.dumps(row(message)), flush=True)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
            else:
                raise KafkaException(message.error())
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
