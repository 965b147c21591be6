"""Members of a group share partitions, and go on where the group was; of both protocols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from compat_tests.driver import Driver, Record
from compat_tests.scenarios.steps import (
    assignments,
    consumer,
    nothing_comes,
    numbered,
    produce,
    settle,
    take,
    texts,
    until,
    values,
)

pytestmark = [pytest.mark.compat, pytest.mark.scenario(needs=["send", "subscribe", "poll"])]


class Groups:
    """What members of either protocol do."""

    protocol: ClassVar[str]

    def member(self, driver: Driver, group: str, *topics: str, **settings: Any) -> Any:
        return consumer(driver, topics, group=group, protocol=self.protocol, **settings)

    def test_one_member_gets_everything(self, driver: Driver, topic3: str, group: str) -> None:
        produce(driver, topic3, [Record(b"%d" % n, partition=n % 3) for n in range(9)])
        with self.member(driver, group, topic3) as name:
            got = take(driver, name, 9)
            for partition in range(3):
                of_one = texts(record for record in got if record.partition == partition)
                assert of_one == [str(n) for n in range(partition, 9, 3)]
            produce(driver, topic3, values("more", partition=2))
            assert texts(take(driver, name, 1)) == ["more"]

    def test_several_topics(self, driver: Driver, make_topic: Callable[..., str], group: str) -> None:
        topics = [make_topic(2), make_topic(), make_topic()]
        for topic in topics:
            produce(driver, topic, values(topic))
        with self.member(driver, group, *topics) as name:
            assert sorted(record.topic for record in take(driver, name, 3)) == sorted(topics)

    @pytest.mark.scenario(needs=["commit"])
    def test_the_next_member_goes_on_where_the_last_one_committed(self, driver: Driver, topic: str, group: str) -> None:
        produce(driver, topic, numbered(10))
        with self.member(driver, group, topic) as name:
            take(driver, name, 10)
            driver.call("commit", consumer=name)
        produce(driver, topic, values("new"))
        with self.member(driver, group, topic) as name:
            assert texts(take(driver, name, 1)) == ["new"]

    def test_what_was_not_committed_comes_again(self, driver: Driver, topic: str, group: str) -> None:
        produce(driver, topic, numbered(4))
        for _ in range(2):
            with self.member(driver, group, topic) as name:
                assert texts(take(driver, name, 4)) == ["0", "1", "2", "3"]

    @pytest.mark.scenario(needs=["commit_offsets"])
    def test_offsets_of_the_members_choice(self, driver: Driver, topic: str, group: str) -> None:
        produce(driver, topic, numbered(10))
        with self.member(driver, group, topic) as name:
            take(driver, name, 10)
            driver.call("commit_offsets", consumer=name, offsets=[[topic, 0, 6, "six"]])
        with self.member(driver, group, topic) as name:
            assert texts(take(driver, name, 4)) == ["6", "7", "8", "9"]

    @pytest.mark.scenario(needs=["commit", "committed"])
    def test_what_is_committed(self, driver: Driver, topic3: str, group: str) -> None:
        produce(driver, topic3, [Record(b"x", partition=partition) for partition in (0, 0, 1)])
        with self.member(driver, group, topic3) as name:
            take(driver, name, 3)
            partitions = [[topic3, partition] for partition in range(3)]
            before = driver.call("committed", consumer=name, partitions=partitions)
            assert sorted(row[:3] for row in before) == [[topic3, partition, None] for partition in range(3)]
            driver.call("commit", consumer=name)
            after = driver.call("committed", consumer=name, partitions=partitions)
            told = {partition: offset for _, partition, offset, _ in after}
            assert (told[0], told[1]) == (2, 1)
            assert told[2] in (0, None)  # some clients commit the position of a partition that gave nothing

    @pytest.mark.scenario(needs=["assignment"])
    def test_two_members_share(
        self, driver: Driver, another: Driver, make_topic: Callable[..., str], group: str
    ) -> None:
        topic = make_topic(4)
        with self.member(driver, group, topic) as first, self.member(another, group, topic) as second:
            members = [(driver, first), (another, second)]
            settle(members, [2, 2])
            produce(driver, topic, [Record(b"%d" % n, partition=n % 4) for n in range(40)])
            owned = assignments(members)
            for one, partitions in zip(members, owned, strict=True):
                got = take(*one, 20)
                assert {(record.topic, record.partition) for record in got} == set(partitions)

    @pytest.mark.scenario(needs=["assignment", "commit"])
    def test_who_stays_takes_over(
        self, driver: Driver, another: Driver, make_topic: Callable[..., str], group: str
    ) -> None:
        topic = make_topic(4)
        with self.member(driver, group, topic) as first:
            with self.member(another, group, topic) as second:
                settle([(driver, first), (another, second)], [2, 2])
                produce(driver, topic, [Record(b"old", partition=partition) for partition in range(4)])
                for member, name in ((driver, first), (another, second)):
                    take(member, name, 2)
                    member.call("commit", consumer=name)
            assert settle([(driver, first)], [4]) == []
            produce(driver, topic, [Record(b"new", partition=partition) for partition in range(4)])
            got = take(driver, first, 4)
            assert sorted((record.partition, record.value) for record in got) == [(n, b"new") for n in range(4)]

    @pytest.mark.scenario(needs=["assignment"])
    def test_a_member_too_many_is_idle(
        self, driver: Driver, another: Driver, make_topic: Callable[..., str], group: str
    ) -> None:
        topic = make_topic()
        with self.member(driver, group, topic) as first, self.member(another, group, topic) as second:
            settle([(driver, first), (another, second)], [0, 1])

    def test_two_groups_get_everything_each(self, driver: Driver, topic: str, fresh_name: Callable[..., str]) -> None:
        produce(driver, topic, numbered(5))
        for _ in range(2):
            with self.member(driver, fresh_name("group"), topic) as name:
                assert texts(take(driver, name, 5)) == ["0", "1", "2", "3", "4"]

    @pytest.mark.scenario(needs=["subscribe_pattern"])
    def test_topics_by_a_pattern(self, driver: Driver, make_topic: Callable[..., str], group: str) -> None:
        first, second, third = make_topic(), make_topic(), make_topic()
        for topic in (first, second, third):
            produce(driver, topic, values(topic))
        with self.member(driver, group) as name:
            driver.call("subscribe_pattern", consumer=name, pattern=f"({first}|{third})")
            assert sorted(record.topic for record in take(driver, name, 2)) == sorted([first, third])
            nothing_comes(driver, name)

    @pytest.mark.scenario(needs=["static membership", "assignment"])
    def test_a_static_member_comes_back_to_its_partitions(
        self, driver: Driver, another: Driver, make_topic: Callable[..., str], group: str
    ) -> None:
        topic = make_topic(4)
        with self.member(driver, group, topic, instance_id="one") as first:
            with self.member(another, group, topic, instance_id="two") as second:
                settle([(driver, first), (another, second)], [2, 2])
                before = assignments([(driver, first), (another, second)])
            with self.member(another, group, topic, instance_id="two") as second:
                settle([(driver, first), (another, second)], [2, 2])
                assert assignments([(driver, first), (another, second)]) == before

    @pytest.mark.scenario(needs=["describe_group", "list_groups", "assignment"])
    def test_the_group_is_listed_and_described(self, driver: Driver, topic: str, group: str) -> None:
        with self.member(driver, group, topic) as name:
            settle([(driver, name)], [1])
            until(lambda: driver.call("describe_group", group=group) == {"state": "Stable", "members": 1}, "stable")
            assert group in driver.call("list_groups")
        until(lambda: driver.call("describe_group", group=group)["members"] == 0, "empty")


@pytest.mark.scenario("groups")
class TestClassic(Groups):
    protocol = "classic"

    @pytest.mark.scenario(needs=["assignment", "range"])
    def test_range(self, driver: Driver, another: Driver, make_topic: Callable[..., str], group: str) -> None:
        self.shared_by("range", driver, another, make_topic(4), group)

    @pytest.mark.scenario(needs=["assignment", "roundrobin"])
    def test_roundrobin(self, driver: Driver, another: Driver, make_topic: Callable[..., str], group: str) -> None:
        self.shared_by("roundrobin", driver, another, make_topic(4), group)

    @pytest.mark.scenario(needs=["assignment", "cooperative-sticky"])
    def test_cooperative_sticky(
        self, driver: Driver, another: Driver, make_topic: Callable[..., str], group: str
    ) -> None:
        self.shared_by("cooperative-sticky", driver, another, make_topic(4), group)

    def shared_by(self, assignor: str, driver: Driver, another: Driver, topic: str, group: str) -> None:
        with self.member(driver, group, topic, assignor=assignor) as first:
            with self.member(another, group, topic, assignor=assignor) as second:
                settle([(driver, first), (another, second)], [2, 2])
            settle([(driver, first)], [4])


@pytest.mark.scenario("groups KIP-848", needs=["KIP-848"])
class TestKip848(Groups):
    protocol = "consumer"

    @pytest.mark.scenario(needs=["static membership", "static membership KIP-848", "assignment"])
    def test_a_static_member_comes_back_to_its_partitions(
        self, driver: Driver, another: Driver, make_topic: Callable[..., str], group: str
    ) -> None:
        super().test_a_static_member_comes_back_to_its_partitions(driver, another, make_topic, group)
