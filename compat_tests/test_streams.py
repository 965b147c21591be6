"""Kafka Streams counts words exactly once, while it and the broker are killed in the middle.

Its output has each count of each word: a repeated, lost or doubled word shows as a count out of turn.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from compat_tests.broker_process import BrokerProcess, environment
from compat_tests.drivers.java import build
from compat_tests.drivers.java.clients import NEWEST
from compat_tests.targets import SETTINGS, Target
from flymq import FlyMQClient

pytestmark = pytest.mark.compat

PARTITIONS = 3
WORDS = [f"word{n}" for n in range(200)]
WORDS_A_LINE = 8
LINES_AT_ONCE = 50
PATIENCE_S = 120.0  # a killed member's session and transaction end, stores are restored


class WordCount:
    """The program, from `with` to its end; killed and started again in between. Its files are in `folder`."""

    def __init__(self, bootstrap: str, application: str, input_: str, output: str, folder: Path) -> None:
        self._state = folder / "state"
        temporary = f"-Djava.io.tmpdir={folder}"  # a killed one leaves its native library there
        self._command = build.command("streams", "WordCount", "kafka-streams", NEWEST, options=[temporary])
        self._command += [bootstrap, application, input_, output, str(self._state)]

    def __enter__(self) -> Self:
        self._stderr = tempfile.TemporaryFile("w+")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._stderr.close()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env=environment(),
        )

    def kill(self) -> None:
        with self._process as process:
            process.kill()

    def forget(self) -> None:
        """While it does not run: its stores are to come from the broker."""
        shutil.rmtree(self._state)

    def await_running(self) -> None:
        assert self._line() == "running"

    def counts(self) -> dict[str, int]:
        """What its store holds, once it is running and nothing is left to count."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        while (line := self._line()) == "running":  # it has rebalanced since
            pass
        pairs = (pair.split("=") for pair in line.split()[1:])
        return {word: int(count) for word, count in pairs}

    def _line(self) -> str:
        assert self._process.stdout is not None
        watchdog = threading.Timer(PATIENCE_S, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        assert line, f"it ended, or said nothing for {PATIENCE_S:g} s: {self.said}"
        return line.strip()

    @property
    def said(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read()[-5000:]


class Text:
    """What goes in, and what came out of it. `came` fails at the first count that is not the next one of its word."""

    def __init__(self, bootstrap: str, input_: str, output: str) -> None:
        quiet = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._producer = Producer({**quiet, "enable.idempotence": True})
        self._consumer = Consumer({
            **quiet, "group.id": "nobody", "enable.auto.commit": False,
            "isolation.level": "read_committed",
        })  # fmt: skip
        self._consumer.assign([TopicPartition(output, n, OFFSET_BEGINNING) for n in range(PARTITIONS)])
        self._input = input_
        self._random = random.Random(6)
        self.sent: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()

    def close(self) -> None:
        self._consumer.close()

    def _send(self) -> None:
        for n in range(LINES_AT_ONCE):
            words = self._random.choices(WORDS, k=WORDS_A_LINE)
            self._producer.produce(self._input, " ".join(words), partition=n % PARTITIONS)
            self.sent.update(words)
        assert self._producer.flush(PATIENCE_S) == 0

    def _came(self) -> None:
        for message in self._consumer.consume(10_000, 0.1):
            if (error := message.error()) is not None:
                assert error.retriable(), error  # the broker is just away
                continue
            word, count = message.key().decode(), int(message.value())
            assert count == self.counted[word] + 1, f"{word} is counted {count} after {self.counted[word]}"
            self.counted[word] = count

    def flows(self, streams: WordCount, words: int = 5_000) -> None:
        """Until so many more are counted; there are always some that are not."""
        wanted = self.counted.total() + words
        self._until(lambda: self.counted.total() >= wanted, streams, self._send)

    def ends(self, streams: WordCount) -> None:
        """Until all are counted."""
        self._until(lambda: self.counted.total() >= self.sent.total(), streams)
        assert self.counted == self.sent

    def _until(self, condition: Callable[[], bool], streams: WordCount, *steps: Callable[[], None]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, (
                f"{self.counted.total()} of {self.sent.total()} words are counted: {streams.said}"
            )
            for step in (*steps, self._came):
                step()


def counted(
    bootstrap: str, folder: Path, name: Callable[..., str], steps: Sequence[Callable[[WordCount], None]]
) -> None:
    """Each step comes in the middle; at the end the counts are right, also in a store that is restored."""
    input_, output = name("lines"), name("counts")
    with FlyMQClient(bootstrap) as client:
        for topic in (input_, output):
            client.create_topic(topic, partitions=PARTITIONS)
    text = Text(bootstrap, input_, output)
    with WordCount(bootstrap, name("words"), input_, output, folder) as streams:
        try:
            for step in steps:
                text.flows(streams)
                step(streams)
            text.flows(streams)
            text.ends(streams)
        finally:
            text.close()
        streams.kill()
        streams.forget()
        streams.start()
        streams.await_running()
        assert streams.counts() == text.sent


def killed(streams: WordCount) -> None:
    streams.kill()
    streams.start()


def killed_and_wiped(streams: WordCount) -> None:
    streams.kill()
    streams.forget()
    streams.start()


@pytest.mark.scenario("streams", client=f"Java {NEWEST} Streams")
def test_streams_killed_in_the_middle(target: Target, tmp_path: Path, fresh_name: Callable[..., str]) -> None:
    counted(target.bootstrap_servers, tmp_path, fresh_name, [killed, killed_and_wiped, killed])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path / "data", SETTINGS) as broker:
        yield broker


@pytest.mark.scenario("streams", client=f"Java {NEWEST} Streams")
def test_broker_and_streams_killed_in_the_middle(
    broker: BrokerProcess, tmp_path: Path, fresh_name: Callable[..., str]
) -> None:
    def broker_killed(_: WordCount) -> None:
        broker.kill()
        broker.start()

    def both_killed(streams: WordCount) -> None:
        broker.kill()
        streams.kill()
        broker.start()
        streams.start()

    counted(broker.bootstrap_servers, tmp_path, fresh_name, [broker_killed, both_killed, broker_killed])
