"""Follows segment-changes, a JSON line for each: who entered or left which
segment, when and why.

A group keeps the place, so the next start goes on where this one stopped. After
a crash some changes come again, with the same id as before: let it tell you
what is done already.
"""

import argparse

from confluent_kafka import Consumer, KafkaError, KafkaException
from google.protobuf.json_format import MessageToJson

from segment_pb2 import SegmentChange


def messages(consumer, topic, until_end):
    """Yields the topic's messages; with until_end only as far as it reaches."""
    unread = set()

    def assigned(_, partitions):
        unread.update(p.partition for p in partitions)

    def gone(_, partitions):
        unread.difference_update(p.partition for p in partitions)

    consumer.subscribe([topic], on_assign=assigned, on_revoke=gone, on_lost=gone)
    while True:
        message = consumer.poll(1)
        if message is None:
            continue
        error = message.error()
        if error is None:
            yield message
        elif error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        elif until_end:
            unread.discard(message.partition())
            if not unread:
                return


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--brokers", default="127.0.0.1:9092")
    parser.add_argument("--prefix", default="", help="of topics, as in segue.yaml")
    parser.add_argument("--group", required=True, help="whose place in the topic is kept")
    parser.add_argument("--until-end", action="store_true", help="stop at the end of the topic")
    args = parser.parse_args()

    consumer = Consumer({
        "bootstrap.servers": args.brokers,
        "group.id": args.group,
        # What an aborted transaction holds was never said.
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        # The place moves on when a change is done with, not when it is read.
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
    })
    try:
        for message in messages(consumer, args.prefix + "segment-changes", args.until_end):
            change = SegmentChange.FromString(message.value())
            print(MessageToJson(change, indent=None), flush=True)
            consumer.store_offsets(message)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
