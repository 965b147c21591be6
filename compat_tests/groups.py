"""Three consumers in three processes share three partitions; one is killed; the broker is restarted.

    python -m compat_tests.groups                              one member of each client
    python -m compat_tests.groups --client kafka-python        three of one
    python -m compat_tests.groups --session-ms 6000 --bootstrap HOST:PORT     any broker, Apache Kafka too
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

import click
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from compat_tests.broker_process import BrokerProcess
from compat_tests.clients import PYTHON_CLIENTS, create_topic
from compat_tests.group_member import MEMBERS

PARTITIONS = 3
_TIMEOUT_S = 60.0


class Step(NamedTuple):
    """What a member said: `numbers` are partitions, or partition and offset."""

    member: int
    what: str
    time: float
    numbers: tuple[int, ...]
    value: str


class Members:
    """Three member processes, and all they said, in order of arrival."""

    def __init__(self, clients: tuple[str, ...], bootstrap: str, topic: str, group: str, session_ms: int) -> None:
        self.steps: list[Step] = []
        self._said = threading.Condition()
        self._arguments = bootstrap, topic, group, str(session_ms)
        self._listeners: list[threading.Thread] = []
        self._processes = [self._spawn(index, client) for index, client in enumerate(clients)]
        self.alive = set(range(len(clients)))

    def _spawn(self, index: int, client: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "compat_tests.group_member", client, *self._arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=Path(__file__).parents[1]
        )
        listener = threading.Thread(target=self._listen, args=(index, process))
        listener.start()
        self._listeners.append(listener)
        return process

    def _listen(self, member: int, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                what, at, *words = line.split()
                numbers = tuple(int(word) for word in words if word.isdigit())
                with self._said:
                    self.steps.append(Step(member, what, float(at), numbers, words[-1] if words else ""))
                    self._said.notify_all()

    def wait_for(self, condition: Callable[[list[Step]], bool], what: str) -> None:
        """AssertionError where it doesn't come true in a minute."""
        with self._said:
            if not self._said.wait_for(lambda: condition(self.steps), _TIMEOUT_S):
                last = "\n".join(map(str, self.steps[-12:]))
                raise AssertionError(f"not in {_TIMEOUT_S:.0f} s: {what}; owners {owners(self.steps)}; last:\n{last}")

    def kill(self, member: int) -> float:
        self.alive.discard(member)
        at = time.monotonic()
        self._processes[member].kill()
        self._processes[member].wait()
        return at

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.alive:
            self._processes[member].send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for listener in self._listeners:
            listener.join()


def owners(steps: list[Step]) -> dict[int, int]:
    """Partition -> the member that last said that it has it."""
    held: dict[int, tuple[int, ...]] = {}
    for step in steps:
        if step.what == "assigned":
            held[step.member] = step.numbers
    return {partition: member for member, partitions in held.items() for partition in partitions}


@contextlib.contextmanager
def produced(bootstrap: str, topic: str) -> Iterator[dict[tuple[int, int], str]]:
    """A slow, endless stream into every partition; the acknowledged records: (partition, offset) -> value."""
    acked: dict[tuple[int, int], str] = {}
    stop = threading.Event()
    failures: list[object] = []

    def delivered(error: object, message: object) -> None:
        if error is not None:
            failures.append(error)
        else:
            acked[message.partition(), message.offset()] = message.value().decode()  # type: ignore[attr-defined]

    def work() -> None:
        settings = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0,
                    "reconnect.backoff.max.ms": 200}  # fmt: skip
        producer = Producer(settings)
        for number in itertools.count():
            producer.produce(topic, b"%d" % number, partition=number % PARTITIONS, on_delivery=delivered)
            producer.poll(0)
            if stop.wait(0.01):
                break
        unsent = producer.flush(_TIMEOUT_S)
        if unsent:
            failures.append(f"{unsent} records unanswered")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield acked
    finally:
        stop.set()
        thread.join()
    assert not failures, failures[0]


def committed(bootstrap: str, group: str, topic: str) -> dict[int, int]:
    """As the broker tells it."""
    partitions = [TopicPartition(topic, index) for index in range(PARTITIONS)]
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})  # named: collected, it drops the request
    request = ConsumerGroupTopicPartitions(group, partitions)
    answer = admin.list_consumer_group_offsets([request])[group].result(30)
    return {partition.partition: partition.offset for partition in answer.topic_partitions}


def ends(bootstrap: str, topic: str) -> dict[int, int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "never-joined"})
    try:
        return {
            index: consumer.get_watermark_offsets(TopicPartition(topic, index), 30)[1] for index in range(PARTITIONS)
        }
    finally:
        consumer.close()


def check_steps(steps: list[Step], acked: dict[tuple[int, int], str]) -> None:
    """AssertionError unless work was handed on at the committed offset and nothing acknowledged was missed.

    `steps` are in the order of time. A record is got twice only where its commit was not answered.
    """
    place: dict[int, int] = {}
    pending: dict[int, int] = {}
    got: dict[tuple[int, int], str] = {}
    for step in steps:
        if step.what == "got":
            partition, offset = step.numbers[:2]
            assert offset >= place.get(partition, 0), f"{step} is below the committed {place.get(partition, 0)}"
            expected = pending.get(partition, place.get(partition, 0))
            again = offset == place.get(partition, 0)
            assert offset == expected or again, f"{step}: offset {expected} was next"
            assert got.setdefault((partition, offset), step.value) == step.value
            pending[partition] = offset + 1
        elif step.what == "committed":
            place[step.numbers[0]] = step.numbers[1]
    for (partition, offset), value in acked.items():
        assert got.get((partition, offset)) == value, f"missed: {value} at partition {partition}, offset {offset}"
    assert len(got) == len(acked), "they got what nobody sent"


class Result(NamedTuple):
    """Seconds from the kill until the partition had a new owner; records that went through."""

    moved_s: float
    records: int
    restarts: int


def run(
    bootstrap: str,
    clients: tuple[str, ...],
    session_ms: int,
    restart: Callable[[], object] | None = None,
    kill: Callable[[], object] | None = None,
) -> Result:
    """AssertionError where a promise is broken. `restart` stops and starts the broker, `kill` does it with SIGKILL."""
    topic = f"shared-{uuid.uuid4().hex[:8]}"
    group = f"{topic}-group"
    create_topic(bootstrap, topic, PARTITIONS)

    def progress(since: int) -> Callable[[list[Step]], bool]:
        """Every partition had a few commits after step number `since`."""

        def enough(steps: list[Step]) -> bool:
            counts = [0] * PARTITIONS
            for step in steps[since:]:
                if step.what == "committed":
                    counts[step.numbers[0]] += 1
            return min(counts) >= 5

        return enough

    with Members(clients, bootstrap, topic, group, session_ms) as members:
        with produced(bootstrap, topic) as acked:
            everyone = set(range(len(clients)))
            members.wait_for(lambda steps: set(owners(steps).values()) == everyone, "each member has a partition")
            members.wait_for(progress(len(members.steps)), "every partition is worked on")

            victim = len(clients) - 1
            orphans = {partition for partition, owner in owners(members.steps).items() if owner == victim}
            at = members.kill(victim)
            before = committed(bootstrap, group, topic)

            def moved(steps: list[Step]) -> bool:
                now = owners([step for step in steps if step.time > at])
                return set(now) == set(range(PARTITIONS)) and not any(now[partition] == victim for partition in orphans)

            members.wait_for(moved, f"partitions {orphans} of the killed member move")
            moved_s = max(step.time for step in members.steps if step.what == "assigned") - at
            members.wait_for(progress(len(members.steps)), "the survivors work on every partition")
            for orphan in orphans:
                first = next(
                    step for step in members.steps
                    if step.what == "got" and step.time > at and step.numbers[0] == orphan and step.member != victim
                )  # fmt: skip
                assert first.numbers[1] == before[orphan], f"resumed at {first}, committed was {before[orphan]}"

            restarts = 0
            for again in (restart, kill):
                if again is not None:
                    again()
                    restarts += 1
                    members.wait_for(progress(len(members.steps)), "work goes on after the broker's restart")
        final = ends(bootstrap, topic)
        assert sum(final.values()) == len(acked)

        def done(steps: list[Step]) -> bool:
            reached = {step.numbers[0]: step.numbers[1] for step in steps if step.what == "committed"}
            return reached == final

        members.wait_for(done, "everything is committed")
        assert committed(bootstrap, group, topic) == final
        check_steps(sorted(members.steps, key=lambda step: step.time), acked)
    return Result(moved_s, len(acked), restarts)


def serve_and_run(folder: Path, clients: tuple[str, ...], session_ms: int) -> Result:
    """On a durable broker of its own, with a clean restart and a `kill -9` on the way."""
    with BrokerProcess(folder, {"group.min.session.timeout.ms": 1000}) as broker:

        def restart() -> None:
            code, _ = broker.stop()
            assert code == 0, broker.stderr
            broker.start()

        def kill() -> None:
            broker.kill()
            broker.start()

        return run(broker.bootstrap_servers, clients, session_ms, restart, kill)


@click.command()
@click.option("--client", type=click.Choice(list(MEMBERS)), help="Three members of one.  [default: one of each]")
@click.option("--session-ms", default=6000, show_default=True)
@click.option("--bootstrap", help="A broker that runs already; it isn't restarted.")
def main(client: str | None, session_ms: int, bootstrap: str | None) -> None:
    """A group of three processes loses a member and its broker, and no record."""
    clients = (client,) * 3 if client else PYTHON_CLIENTS
    if bootstrap is not None:
        result = run(bootstrap, clients, session_ms)
    else:
        with tempfile.TemporaryDirectory() as folder:
            result = serve_and_run(Path(folder), clients, session_ms)
    click.echo(
        f"{', '.join(clients)}: the partition moved {result.moved_s:.2f} s after the kill (session {session_ms} ms), "
        f"{result.restarts} broker restarts, {result.records} records, none missed"
    )


if __name__ == "__main__":
    main()
