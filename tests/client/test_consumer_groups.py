"""Consumers that share a group: what a rebalance commits, callbacks, slow members, brokers that go away meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import EmbeddedBroker, FlyMQClient
from flymq.client import consumer as consumer_module
from flymq.client.consumer import Consumer
from flymq.client.errors import CommitFailedError
from flymq.client.kafka_python import kafka
from flymq.client.messages import Message, Partition
from tests.client.consuming import (
    EARLIEST,
    TIMEOUT_S,
    Loop,
    await_commit,
    drain,
    looping,
    offsets,
    pairs,
    refusals,
    take,
    until,
)

KEEPALIVE_S = 0.2
EACH = 40  # messages in each of two partitions
ALL = sorted((partition, offset) for partition in range(2) for offset in range(EACH))


@pytest.fixture
def topic(broker: EmbeddedBroker, fresh_name: Callable[..., str]) -> str:
    name = fresh_name("topic")
    broker.seed(name, [{"value": "x", "partition": number % 2} for number in range(2 * EACH)], partitions=2)
    return name


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A loop counts as slow after a moment already, but where that is what a test is about."""
    if "stays_a_member" not in request.node.name:
        monkeypatch.setattr(consumer_module, "_KEEPALIVE_S", KEEPALIVE_S)


class Gate:
    """Work that waits at its nth message until it is let go, and takes so long over it that the group is served
    before the next one, although that is there."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._count = 0
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, message: Message[Any, Any]) -> None:
        self._count += 1
        if self._count == self._at:
            self.reached.set()
            assert self.open.wait(TIMEOUT_S)
            threading.Event().wait(KEEPALIVE_S)


def share(one: Loop, other: Loop) -> None:
    """Until each has one partition of two."""
    until(
        lambda: [len(loop.consumer.assignment()) for loop in (one, other)] == [1, 1]
        and one.consumer.assignment() != other.consumer.assignment(),
        "one partition for each",
    )


# -- rebalances -----------------------------------------------------------------------------------


@pytest.mark.parametrize("auto_commit", [True, False])
def test_a_rebalance_skips_nothing_of_what_was_fetched_before(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str, auto_commit: bool
) -> None:
    """The partition that stays goes on where it was, the other one where the first member left it."""
    settings = {"auto_commit": auto_commit, **EARLIEST}
    gate = Gate(at=5)
    with looping(client.consumer(topic, group, **settings), gate) as one:
        assert gate.reached.wait(TIMEOUT_S)
        with looping(client.consumer(topic, group, **settings)) as other:
            broker.wait_for_group(group, state="PreparingRebalance", timeout=TIMEOUT_S)
            gate.open.set()
            share(one, other)
            both = lambda: {*one.pairs(), *other.pairs()}  # noqa: E731
            until(lambda: len(both()) == len(ALL), "all messages")
    assert len(set(one.pairs())) == len(one.got)
    if auto_commit:
        assert sorted(one.pairs() + other.pairs()) == ALL  # none of them twice
        assert broker.committed(group) == {(topic, 0): EACH, (topic, 1): EACH}
    else:
        assert broker.committed(group) == {}


def test_a_rebalance_commits_what_is_finished_and_not_what_was_fetched(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    gate, never = Gate(at=5), Gate(at=1)
    with looping(client.consumer(topic, group, **EARLIEST), gate) as one:
        assert gate.reached.wait(TIMEOUT_S)
        with looping(client.consumer(topic, group, **EARLIEST), never) as other:
            broker.wait_for_group(group, state="PreparingRebalance", timeout=TIMEOUT_S)
            assert broker.committed(group) == {}
            gate.open.set()
            until(lambda: broker.committed(group), "a commit")
            first = Partition(topic, one.got[0].partition)
            assert broker.committed(group) == {first: 5}
            never.open.set()
            share(one, other)


def test_the_message_that_a_member_works_on_is_not_given_to_another(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    gate = Gate(at=5)
    with looping(client.consumer(topic, group, **EARLIEST), gate) as one:
        assert gate.reached.wait(TIMEOUT_S)
        with looping(client.consumer(topic, group, **EARLIEST)) as other:
            broker.wait_for_group(group, state="PreparingRebalance", timeout=TIMEOUT_S)
            assert other.got == []
            gate.open.set()
            share(one, other)
            until(lambda: len(one.got) + len(other.got) >= len(ALL), "all messages")
    assert sorted(one.pairs() + other.pairs()) == ALL


def test_a_member_that_leaves_gives_its_partition_to_the_others(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with looping(client.consumer(topic, group, **EARLIEST)) as one:
        with looping(client.consumer(topic, group, **EARLIEST)) as other:
            share(one, other)
        one.wait_for_assignment({0, 1})
        client.produce_many(topic, [{"value": "y", "partition": partition} for partition in range(2)])
        until(lambda: {(0, EACH), (1, EACH)} <= set(one.pairs()), "both new messages")
    assert sorted(one.pairs() + other.pairs()) == sorted([*ALL, (0, EACH), (1, EACH)])


def test_a_commit_after_a_rebalance_covers_what_was_finished_before_it(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with client.consumer(topic, group, auto_commit=False, **EARLIEST) as one:
        assert len(drain(one, len(ALL))) == len(ALL)
        with looping(client.consumer(topic, group, auto_commit=False, **EARLIEST)) as other:
            until(lambda: one.poll(0.1) == [] and len(one.assignment()) == 1 and other.got, "sharing")
            kept = one.assignment()[0]
            one.commit()
            assert broker.committed(group) == {kept: EACH}


def test_a_message_of_a_partition_that_went_away_is_not_committed(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with client.consumer(topic, group, auto_commit=False, **EARLIEST) as one:
        last = {message.partition: message for message in drain(one, len(ALL))}
        with looping(client.consumer(topic, group, auto_commit=False, **EARLIEST)) as other:
            until(lambda: one.poll(0.1) == [] and len(one.assignment()) == 1 and other.got, "sharing")
            gone = 1 - one.assignment()[0].partition
            with pytest.raises(CommitFailedError, match=f"{topic}-{gone}.* not assigned"):
                one.commit(last[gone])
    assert broker.committed(group) == {}


def test_joining_takes_one_rebalance(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    """kafka-python may join, look at the metadata then, and join again for what it sees there: it knows before."""
    assigned: list[list[Partition]] = []
    consumer = client.consumer(topic, group, on_assigned=assigned.append, **EARLIEST)
    consumer._start()
    assert consumer._kafka._coordinator._metadata_snapshot == {topic: {0, 1}}
    drain(consumer, len(ALL))
    assert len(assigned) == 1
    consumer.close()


def begin_rebalance(consumer: Consumer) -> None:
    """As kafka-python does when it sees metadata that it did not assign by. It goes on with the next poll."""
    coordinator = consumer._kafka._coordinator
    assert coordinator._is_leader
    coordinator._assignment_snapshot = {}
    consumer._fetch(0)
    assert consumer.assignment() == []
    until(lambda: coordinator._join_task is not None and coordinator._join_task.is_done, "the answer")


def test_a_join_that_ends_between_two_polls_is_not_forgotten(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with client.consumer(topic, group, **EARLIEST) as consumer:
        assert len(consumer.poll(5, max_records=1)) == 1
        consumer.commit()
        begin_rebalance(consumer)
        assert not consumer._kafka._coordinator.need_rejoin()  # what kafka-python would do about it
        drain(consumer, len(ALL) - 1)
    assert broker.committed(group) == {(topic, 0): EACH, (topic, 1): EACH}


@pytest.mark.parametrize("ask", ["commit", "commit a message", "close"])
def test_a_commit_in_the_middle_of_a_rebalance_waits_for_its_end(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str, ask: str
) -> None:
    consumer = client.consumer(topic, group, auto_commit=False, **EARLIEST)
    last = drain(consumer, len(ALL))[-1]
    begin_rebalance(consumer)
    if ask == "commit a message":
        consumer.commit(last)
        assert broker.committed(group) == {(topic, last.partition): EACH}
    else:
        if ask == "commit":
            consumer.commit()
        consumer.close(commit=ask == "close")
        assert broker.committed(group) == {(topic, 0): EACH, (topic, 1): EACH}


# -- slow members ---------------------------------------------------------------------------------


def test_a_slow_loop_stays_a_member(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    """kafka-python leaves the group when it is not polled for this long, and all of this was fetched at once."""
    slow = threading.Event()
    settings = {"max_poll_interval_ms": 1800, "session_timeout_ms": 10000, **EARLIEST}
    with looping(client.consumer(topic, group, **settings), lambda message: slow.wait(0.6)) as loop:
        loop.wait_for(5)
        (member,) = client.groups.members(group)
        assert [partition.partition for partition in member.assignment] == [0, 1]
        generation = loop.consumer._kafka.group_metadata().generation_id
        loop.wait_for(6)
        assert loop.consumer._kafka.group_metadata().generation_id == generation
        slow.set()
    assert pairs(loop.got) == list(dict.fromkeys(pairs(loop.got)))


def test_one_turn_that_is_too_slow_costs_the_membership_and_skips_nothing(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    revoked: list[list[Partition]] = []
    settings = {"max_poll_interval_ms": 600, "session_timeout_ms": 10000, **EARLIEST}
    with client.consumer(topic, group, on_revoked=revoked.append, auto_commit=False, **settings) as consumer:
        first = take(consumer, 3)
        consumer.commit()
        took = take(consumer, 2)
        broker.wait_for_group(group, state="Empty", timeout=TIMEOUT_S)
        with pytest.raises(CommitFailedError) as caught:
            consumer.commit()
        assert "max_poll_interval_ms" in caught.value.hint
        again = take(consumer, 2 * EACH - 3)
        assert revoked == []
        consumer.commit()
    assert set(pairs(took)) <= set(pairs(again))
    assert sorted(pairs(first + again)) == ALL
    assert broker.committed(group) == {(topic, 0): EACH, (topic, 1): EACH}
    assert len(revoked) == 1  # on closing


def test_a_lost_membership_skips_nothing_of_a_group_of_its_own(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str
) -> None:
    """It began at the end and has committed nothing: the end is elsewhere by now."""
    settings = {"max_poll_interval_ms": 600, "session_timeout_ms": 10000, **EARLIEST, "auto_offset_reset": "latest"}
    with client.consumer(topic, **settings) as consumer:
        client.produce(topic, "first", partition=0)
        assert [message.text() for message in take(consumer, 1)] == ["first"]
        until(lambda: consumer._kafka._coordinator._generation.is_lost(), "the loss")
        client.produce_many(topic, [{"value": "second", "partition": 0}, {"value": "third", "partition": 1}])
        assert sorted(message.text() for message in take(consumer, 2)) == ["second", "third"]


# -- callbacks ------------------------------------------------------------------------------------


def test_callbacks_tell_what_comes_and_goes(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    told: list[tuple[str, list[int]]] = []
    threads = set()

    def tells(what: str) -> Callable[[list[Partition]], None]:
        def callback(partitions: list[Partition]) -> None:
            assert all(partition.topic == topic for partition in partitions)
            if what == "assigned":
                threads.add(threading.current_thread())
            told.append((what, [partition.partition for partition in partitions]))

        return callback

    callbacks = {"on_assigned": tells("assigned"), "on_revoked": tells("revoked")}
    with looping(client.consumer(topic, group, **callbacks, **EARLIEST)) as one:
        one.wait_for(1)
        assert told[-1] == ("assigned", [0, 1])
        with looping(client.consumer(topic, group, **EARLIEST)) as other:
            share(one, other)
            kept = one.consumer.assignment()[0].partition
            until(lambda: told[-1] == ("assigned", [kept]), "the callback")
            assert told[-2] == ("revoked", [0, 1])
        one.wait_for_assignment({0, 1})
    assert told[-2:] == [("assigned", [0, 1]), ("revoked", [0, 1])]
    assert threads == {one.thread}


def test_on_assigned_may_seek(broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str) -> None:
    def to_30(partitions: list[Partition]) -> None:
        for partition in partitions:
            assert consumer.position(partition) == 0
            consumer.seek(partition, 30)

    consumer = client.consumer(topic, group, on_assigned=to_30, **EARLIEST)
    with consumer:
        wanted = [(partition, offset) for partition, offset in ALL if offset >= 30]
        assert sorted(pairs(drain(consumer, len(wanted)))) == wanted


def test_on_revoked_may_commit(broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str) -> None:
    """Before another member gets the partition, and on closing."""
    consumer: Consumer
    settings: dict[str, Any] = {"auto_commit": False, **EARLIEST}
    gate = Gate(at=5)
    consumer = client.consumer(topic, group, on_revoked=lambda _: consumer.commit(), **settings)
    with looping(consumer, gate) as one:
        assert gate.reached.wait(TIMEOUT_S)
        with looping(client.consumer(topic, group, **settings)) as other:
            broker.wait_for_group(group, state="PreparingRebalance", timeout=TIMEOUT_S)
            gate.open.set()
            share(one, other)
            until(lambda: len(one.got) + len(other.got) >= len(ALL), "all messages")
            kept = one.consumer.assignment()[0]
            one.stop()
            assert broker.committed(group)[kept] == EACH
    assert sorted(one.pairs() + other.pairs()) == ALL


class CallbackError(Exception):
    pass


@pytest.mark.parametrize("callback", ["on_assigned", "on_revoked"])
def test_what_a_callback_raises_comes_out_of_the_loop(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str, callback: str
) -> None:
    calls = []

    def fails_once(partitions: list[Partition]) -> None:
        calls.append(partitions)
        if len(calls) == 1:
            raise CallbackError

    settings: dict[str, Any] = {callback: fails_once, **EARLIEST}
    one = Loop(client.consumer(topic, group, **settings), lambda message: None)
    if callback == "on_revoked":
        one.wait_for(2 * EACH)
        with looping(client.consumer(topic, group, **EARLIEST)) as other:
            until(lambda: not one.thread.is_alive(), "the end of the loop")
            other.wait_for_assignment({0, 1})
            assert other.got == []  # what was finished is committed all the same
    one.thread.join(TIMEOUT_S)
    assert isinstance(one.error, CallbackError)


# -- brokers that go away -------------------------------------------------------------------------


@pytest.fixture
def refused(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with refusals(caplog):
        yield


@pytest.mark.usefixtures("refused")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_broker_that_is_started_again_is_waited_for(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path) as broker, FlyMQClient(broker.bootstrap_servers) as client:
        client.create_topic("orders")
        members: list[tuple[str | None, dict[str, Any]]] = [
            ("auto", {}), ("manual", {"auto_commit": False}), (None, {}),
        ]  # fmt: skip
        consumers = [
            client.consumer("orders", group, auto_commit_interval=0.1, heartbeat_interval_ms=100, **settings)
            for group, settings in members
        ]
        with looping(consumers[0]) as one, looping(consumers[1]) as two, looping(consumers[2]) as three:
            loops = (one, two, three)
            for loop in loops:
                loop.wait_for_assignment({0})
            for round_ in range(2):
                client.produce_many("orders", [str(number) for number in range(10)]).raise_for_errors()
                for loop in loops:
                    loop.wait_for(10 * (round_ + 1))
                broker.kill()
                broker.start()
            client.produce("orders", "last")
            for loop in loops:
                until(lambda loop=loop: loop.error or offsets(loop.got)[-1] == 20, "the last")  # type: ignore[misc]
        for loop in loops:
            assert sorted({*offsets(loop.got)}) == list(range(21))
        assert client.groups.offsets("auto") == {("orders", 0): 21}
        assert client.groups.offsets("manual") == {}


def test_patterns_take_in_topics_that_come_later(
    broker: EmbeddedBroker, client: FlyMQClient, fresh_name: Callable[..., str], group: str
) -> None:
    import re

    prefix = fresh_name("pattern")
    broker.seed(f"{prefix}-A", ["1"])
    broker.seed(f"other-{prefix}-a", ["no"])
    consumer = client.consumer(re.compile(f"{prefix}-a", re.IGNORECASE), group, metadata_max_age_ms=100, **EARLIEST)
    with looping(consumer) as loop:
        loop.wait_for(1)
        broker.seed(f"{prefix}-ab", ["2"])
        loop.wait_for(2)
    assert [(message.topic, message.text()) for message in loop.got] == [(f"{prefix}-A", "1"), (f"{prefix}-ab", "2")]


def test_the_assignor_may_be_cooperative(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

    assert kafka()
    settings = {"partition_assignment_strategy": [CooperativeStickyAssignor], **EARLIEST}
    gate = Gate(at=5)
    with looping(client.consumer(topic, group, **settings), gate) as one:
        assert gate.reached.wait(TIMEOUT_S)
        with looping(client.consumer(topic, group, **settings)) as other:
            broker.wait_for_group(group, state="PreparingRebalance", timeout=TIMEOUT_S)
            gate.open.set()
            share(one, other)
            until(lambda: len({*one.pairs(), *other.pairs()}) == len(ALL), "all messages")
    await_commit(broker, group, {(topic, 0): EACH, (topic, 1): EACH})
    assert sorted(one.pairs() + other.pairs()) == ALL
