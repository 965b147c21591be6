"""librdkafka in groups of KIP-848, alone and together with members of the classic protocol."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat_tests.clients import create_topic
from compat_tests.consumer_groups import (
    CLASSIC,
    CONSUMER,
    Member,
    check_exactly_once,
    producing,
    run_and_measure,
    until,
    until_shared,
)
from flymq import EmbeddedBroker

PARTITIONS = 10


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """One whose members are missed after two seconds."""
    with EmbeddedBroker(config={"group.consumer.session.timeout.ms": 2000}) as started:
        yield started


@pytest.fixture
def topic(broker: EmbeddedBroker, fresh_name: Callable[..., str]) -> str:
    name = fresh_name("consumed")
    create_topic(broker.bootstrap_servers, name, PARTITIONS)
    return name


def caught_up(members: list[Member], sent: dict[int, int]) -> None:
    until(lambda: sum(len(member.got) for member in members) >= sum(sent.values()))


@pytest.mark.parametrize(
    "protocols",
    [[CONSUMER] * 5, [CLASSIC, CONSUMER, CLASSIC, CONSUMER], [CLASSIC, CLASSIC, CONSUMER, CONSUMER]],
    ids=["new", "mixed", "upgraded"],
)
@pytest.mark.parametrize("strategy", ["cooperative-sticky", "range"])
def test_members_come_and_go_while_they_consume(
    broker: EmbeddedBroker, topic: str, fresh_name: Callable[..., str], protocols: list[str], strategy: str
) -> None:
    """In the end the classic ones are among themselves, if there are any. Nothing is lost, nothing comes twice."""
    group = fresh_name("group")
    members: list[Member] = []
    with contextlib.ExitStack() as stack:

        def start(protocol: str) -> Member:
            settings = {"partition_assignment_strategy": strategy} if protocol == CLASSIC else {}
            members.append(Member(broker.bootstrap_servers, group, [topic], protocol, **settings))
            return stack.enter_context(members[-1])

        with producing(broker.bootstrap_servers, topic, PARTITIONS) as sent:
            for protocol in protocols:
                start(protocol)
                until_shared(members, topic, PARTITIONS)
            for member in [one for one, protocol in zip(members, protocols, strict=True) if protocol == CONSUMER]:
                member.stop()
                left = [one for one in members if one.owned]
                if left:
                    until_shared(left, topic, PARTITIONS)
            last = start(protocols[0])
            until(lambda: bool(last.owned))
        caught_up(members, sent)
    check_exactly_once(members, topic, sent)


def test_a_killed_members_partitions_go_to_the_others(
    broker: EmbeddedBroker, topic: str, fresh_name: Callable[..., str]
) -> None:
    group = fresh_name("group")
    with Member(broker.bootstrap_servers, group, [topic]) as survivor:
        program = (
            "import sys; from compat_tests.consumer_groups import Member, until; "
            "m = Member(*sys.argv[1:3], [sys.argv[3]]); until(lambda: bool(m.owned)); print('in', flush=True); "
            "until(lambda: False)"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, broker.bootstrap_servers, group, topic],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "in\n"
            until(lambda: len(survivor.owned) == PARTITIONS // 2)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        until_shared([survivor], topic, PARTITIONS)


def test_a_static_member_restarts_without_a_rebalance(
    broker: EmbeddedBroker, topic: str, fresh_name: Callable[..., str]
) -> None:
    group = fresh_name("group")
    with Member(broker.bootstrap_servers, group, [topic], group_instance_id="a") as stays:
        moving = Member(broker.bootstrap_servers, group, [topic], group_instance_id="b")
        until_shared([stays, moving], topic, PARTITIONS)
        owned, revocations = set(moving.owned), stays.revocations
        moving.stop()
        with Member(broker.bootstrap_servers, group, [topic], group_instance_id="b") as again:
            until(lambda: again.owned == owned, lambda: str(again.owned))
            assert stays.revocations == revocations
            assert len(stays.owned) == PARTITIONS // 2


def test_a_pattern_finds_topics_as_they_come(broker: EmbeddedBroker, fresh_name: Callable[..., str]) -> None:
    prefix = fresh_name("pattern")
    create_topic(broker.bootstrap_servers, f"{prefix}-a", 2)
    create_topic(broker.bootstrap_servers, f"not-{prefix}-a", 2)
    with Member(broker.bootstrap_servers, fresh_name("group"), [f"^{prefix}-[ab]"]) as member:
        until(lambda: member.owned == {(f"{prefix}-a", 0), (f"{prefix}-a", 1)})
        create_topic(broker.bootstrap_servers, f"{prefix}-b", 1)
        until(lambda: (f"{prefix}-b", 0) in member.owned)


def test_a_restarted_broker_has_the_group_still(tmp_path: Path, fresh_name: Callable[..., str]) -> None:
    topic, group = fresh_name("kept"), fresh_name("group")
    with EmbeddedBroker(data_dir=tmp_path, topics={topic: PARTITIONS}) as broker:
        port, bootstrap = broker.port, broker.bootstrap_servers
        members = [Member(bootstrap, group, [topic]) for _ in range(2)]
        until_shared(members, topic, PARTITIONS)
        before = [(set(member.owned), member.revocations) for member in members]
    with EmbeddedBroker(data_dir=tmp_path, port=port), contextlib.ExitStack() as stack:
        for member in members:
            stack.enter_context(member)
        with producing(bootstrap, topic, PARTITIONS) as sent:
            until(lambda: all(member.got for member in members))
        caught_up(members, sent)
        assert [(member.owned, member.revocations) for member in members] == before
        check_exactly_once(members, topic, sent)


def test_many_settle(broker: EmbeddedBroker) -> None:
    """`python -m compat_tests.consumer_groups` is the same with 50, and tells the times."""
    run_and_measure(broker.bootstrap_servers, 8, 40)
