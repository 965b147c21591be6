"""The user's page on consumer groups, run as printed: every shell line and every Python block, against a real broker.

What a reader has around a block is given here: topics with messages in them, `process`, and where a block goes on
with names of an earlier one, `client` and `consumer`. Each outcome is checked against what the page's text promises.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.consumer import Consumer
from flymq.client.messages import Message

GUIDE = Path(__file__).parent / "consumer-groups.md"
TIMEOUT_S = 30.0
OLD = [f"old {n}" for n in range(12)]
NEW = [f"new {n}" for n in range(5)]
ALL_READ = len(OLD) + len(NEW)

# What a reader puts in for the page's placeholders.
PLACEHOLDERS = {
    "--offset <n> --count <n>": "--offset 0 --count 10",
    "<topic>": "my-topic",
    "<group-id>": "my-app",
    " [options]": "",
}


def fences() -> list[tuple[str, str]]:
    """(language, text) of each fenced block, in order. Those without a language are pictures."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


PYTHON = [text for language, text in fences() if language == "python"]
SHELL = [
    line
    for language, text in fences()
    if language == "bash"
    for line in text.splitlines()
    if line and not line.startswith("#")
]


def test_no_block_is_left_out() -> None:
    assert GUIDE.read_text().count("```") == 2 * len(fences())
    assert {language for language, _ in fences()} == {"bash", "python", ""}
    assert not any("flymq" in text or "client" in text for language, text in fences() if not language)
    assert len(PYTHON) == len(RUNS) == 9
    assert len(SHELL) == 11


@pytest.fixture
def guide_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedBroker]:
    """A broker with the page's topics, found where the page says: at localhost:9092, whoever else has that port."""
    with EmbeddedBroker(topics={"my-topic": 1, "orders": 1}) as broker:
        look_up = socket.getaddrinfo

        def redirected(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            return look_up(host, broker.port if (host, port) == ("localhost", 9092) else port, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", redirected)
        with FlyMQClient(broker.bootstrap_servers) as client:
            for topic in ("my-topic", "orders"):
                client.produce_many(topic, OLD).raise_for_errors()
        yield broker


# -- Python ---------------------------------------------------------------------------------------


class Reader:
    """Somebody who pastes a block, with what they have: `client`, `consumer`, `process`."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.broker = broker
        self.client = FlyMQClient(broker.bootstrap_servers)
        self.processed: list[str] = []
        self.names: dict[str, Any] = {"FlyMQClient": FlyMQClient, "client": self.client, "process": self.process}
        self.stop_after = len(NEW)

    def process(self, message: Message[Any, Any]) -> Any:
        """The reader's own code: takes note, and has had enough after `stop_after` messages."""
        self.processed.append(message.text())
        if len(self.processed) == self.stop_after:
            self.names["consumer"].stop()
        return SimpleNamespace(success=True)

    def run(self, block: str) -> None:
        exec(compile(block, str(GUIDE), "exec"), self.names)

    def run_while(self, block: str, meanwhile: Callable[[], None]) -> None:
        """Run a block that waits for messages, and `meanwhile` what makes them come."""
        failures: list[BaseException] = []

        def paste() -> None:
            try:
                self.run(block)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=paste)
        thread.start()
        try:
            meanwhile()
        finally:
            thread.join(TIMEOUT_S)
        assert not failures, failures
        assert not thread.is_alive()

    def produce_when_assigned(self, group: str, topic: str = "my-topic") -> None:
        self.broker.wait_for_group(group, members=1, timeout=TIMEOUT_S)
        self.client.produce_many(topic, NEW).raise_for_errors()

    def committed(self, group: str) -> int:
        (offset,) = self.client.groups.offsets(group).values()
        return offset

    def close(self) -> None:
        for value in (self.client, *self.names.values()):  # a block may have put another one in its place
            if isinstance(value, Consumer | FlyMQClient):
                value.close()


def one_time_read(reader: Reader, block: str) -> None:
    reader.run(block)
    assert [message.text() for message in reader.names["messages"]] == OLD[:10]
    assert reader.client.groups.list() == []


def a_group_reads_what_is_new(reader: Reader, block: str) -> None:
    """`latest`, the default, and everything processed is committed: by itself, or by the block's commit()."""
    reader.run_while(block, lambda: reader.produce_when_assigned("my-app"))
    assert reader.processed == NEW
    assert reader.committed("my-app") == ALL_READ


def earliest(reader: Reader, block: str) -> None:
    reader.run(block)
    assert next(reader.names["consumer"]).text() == OLD[0]


def production_use(reader: Reader, block: str) -> None:
    reader.run(block)
    assert reader.names["consumer"].group_id == "order-service"
    assert [message.text() for message in reader.names["messages"]] == OLD[:10]


def group_names(reader: Reader, block: str) -> None:
    reader.run(block)
    assert reader.names["consumer"].group_id == "consumer1"


def each_service_receives_all(reader: Reader, block: str) -> None:
    reader.run(block)
    for consumer, group in (("analytics_consumer", "analytics-service"), ("billing_consumer", "billing-service")):
        received: list[str] = []

        def receive(name: str = consumer, into: list[str] = received) -> None:
            into.extend(next(reader.names[name]).text() for _ in NEW)

        thread = threading.Thread(target=receive)
        thread.start()
        reader.produce_when_assigned(group, "orders")
        thread.join(TIMEOUT_S)
        assert received == NEW


def commit_after_processing(reader: Reader, block: str) -> None:
    """Two loops, one after the other, over a consumer that the page has made before. Five new messages for each."""

    class Fed(Consumer):
        def __iter__(self) -> Any:
            reader.client.produce_many("orders", NEW).raise_for_errors()
            reader.stop_after = len(reader.processed) + len(NEW)
            return super().__iter__()

    reader.client.produce("orders", "the group begins here")
    connection = reader.client.connection
    consumer = Fed(connection, "orders", "payment-processor", auto_commit=False, auto_offset_reset="earliest")
    assert len(consumer.poll(TIMEOUT_S)) == len(OLD) + 1
    reader.names["consumer"] = consumer
    reader.run(block)
    assert reader.processed == NEW + NEW
    assert reader.committed("payment-processor") == len(OLD) + 1 + 2 * len(NEW)


RUNS: list[Callable[[Reader, str], None]] = [
    one_time_read,
    a_group_reads_what_is_new,
    earliest,
    a_group_reads_what_is_new,
    a_group_reads_what_is_new,
    production_use,
    group_names,
    each_service_receives_all,
    commit_after_processing,
]


@pytest.mark.parametrize("number", range(len(RUNS)), ids=[f"{n}-{run.__name__}" for n, run in enumerate(RUNS)])
def test_python(number: int, guide_broker: EmbeddedBroker) -> None:
    reader = Reader(guide_broker)
    try:
        RUNS[number](reader, PYTHON[number])
    finally:
        reader.close()


# -- shell ----------------------------------------------------------------------------------------


def filled_in(line: str) -> str:
    for placeholder, value in PLACEHOLDERS.items():
        line = line.replace(placeholder, value)
    assert "<" not in line, line
    return line


def start(line: str, broker: EmbeddedBroker) -> subprocess.Popen[str]:
    """A line, given to a shell as it stands."""
    folder = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "FLYMQ_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
    }
    return subprocess.Popen(
        ["bash", "-c", f"exec {line}"], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    return out, err


@pytest.mark.parametrize("number", range(len(SHELL)), ids=SHELL)
def test_shell(number: int, guide_broker: EmbeddedBroker) -> None:
    line = filled_in(SHELL[number])
    with FlyMQClient(guide_broker.bootstrap_servers) as client:
        if " subscribe " in line:
            subscribes(line, guide_broker, client)
        elif " consume " in line:
            out, _ = finish(start(line, guide_broker))
            assert [value for value in OLD if value in out] == OLD[:10]
        else:
            list(client.consumer("my-topic", "my-app", auto_offset_reset="earliest", idle_timeout=0.2))
            client.close()  # the group's only member leaves, its offsets stay
            out, _ = finish(start(line, guide_broker))
            assert ("my-app" in out) or ("my-topic" in out)


def subscribes(line: str, broker: EmbeddedBroker, client: FlyMQClient) -> None:
    """Runs until it is interrupted; then everything it printed is committed."""
    process = start(line, broker)
    try:
        broker.wait_for_group("my-app", members=1, timeout=TIMEOUT_S)
        client.produce_many("my-topic", NEW).raise_for_errors()
        assert process.stdout is not None
        seen = ""
        while NEW[-1] not in seen:
            read = process.stdout.readline()
            assert read, process.communicate()[1]
            seen += read
        process.send_signal(signal.SIGINT)
        finish(process)
    finally:
        process.kill()
    assert (OLD[0] in seen) == ("--from-beginning" in line)
    assert client.groups.offsets("my-app") == {("my-topic", 0): ALL_READ}
    assert client.groups.describe("my-app").members == []


def test_reset_makes_a_group_read_everything_again(guide_broker: EmbeddedBroker) -> None:
    """The page's last line, and what it promises."""
    with FlyMQClient(guide_broker.bootstrap_servers) as client:
        with client.consumer("my-topic", "my-app", auto_offset_reset="earliest", idle_timeout=0.2) as consumer:
            assert len(list(consumer)) == len(OLD)
        finish(start(SHELL[-1], guide_broker))
        with client.consumer("my-topic", "my-app", idle_timeout=0.2) as consumer:
            assert len(list(consumer)) == len(OLD)
