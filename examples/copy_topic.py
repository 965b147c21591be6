"""Copy a topic from one broker to another: partitions, keys, values, headers and timestamps stay as they are.

    python examples/copy_topic.py orders localhost:9092 localhost:9093

`flymq-cli topics copy` does this too, with a progress bar.
"""

from __future__ import annotations

import sys

from flymq import FlyMQClient


def copy(topic: str, source: FlyMQClient, target: FlyMQClient) -> int:
    """Copy what is there now; how many messages. Streams: a topic larger than memory is fine."""
    target.create_topic(topic, partitions=len(source.topics.offsets(topic)), exist_ok=True)
    copied = 0
    with target.producer(linger_ms=5) as producer:
        for message in source.read(topic):
            producer.send(
                topic,
                message.value,
                key=message.key,
                partition=message.partition,
                headers=message.headers,
                timestamp=message.timestamp,
            )
            copied += 1
        producer.flush()
    return copied


def main(topic: str, source: str, target: str) -> None:
    with FlyMQClient(source) as from_, FlyMQClient(target) as to:
        print(f"{copy(topic, from_, to)} messages of {topic} copied from {source} to {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
