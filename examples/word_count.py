"""Word count over a consumer group: three workers share the partitions of a topic.

    flymq dev &
    python examples/word_count.py README.md

Each line of the file is a message. The group splits the partitions among its workers; what one has counted is
committed, so a second run of the group goes on where the first ended.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from flymq import FlyMQClient

TOPIC = "lines"
GROUP = "word-count"
WORKERS = 3


def write(client: FlyMQClient, lines: Iterable[str]) -> int:
    """One message a line, over all partitions. How many."""
    client.create_topic(TOPIC, partitions=6, exist_ok=True)
    report = client.produce_many(TOPIC, (line for line in lines if line.strip()))
    report.raise_for_errors()
    return report.sent


def count(client: FlyMQClient) -> Counter[str]:
    """One worker's share: every word of its partitions, until nothing came for two seconds."""
    words: Counter[str] = Counter()
    with client.consumer(TOPIC, GROUP, auto_offset_reset="earliest", idle_timeout=2.0) as consumer:
        for message in consumer:
            words.update(message.text().lower().split())
    return words


def main(path: str, bootstrap_servers: str = "localhost:9092") -> None:
    with FlyMQClient(bootstrap_servers) as client, open(path, encoding="utf-8") as file:
        print(f"{write(client, file)} lines written")
        with ThreadPoolExecutor(WORKERS) as pool:
            shares = list(pool.map(lambda _: count(client), range(WORKERS)))
        total = sum(shares, Counter())
        print(f"{total.total()} words, counted by {WORKERS} workers: {[share.total() for share in shares]}")
        for word, times in total.most_common(5):
            print(f"{times:6} {word}")


if __name__ == "__main__":
    main(*sys.argv[1:])
