"""Topics, records, groups and the cluster, as an admin sees and changes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from compat_tests.driver import Driver, DriverError, Record
from compat_tests.scenarios.steps import (
    TOO_LARGE,
    consumer,
    fails,
    numbered,
    once_known,
    produce,
    reader,
    settle,
    take,
    texts,
    until,
    values,
)

pytestmark = [pytest.mark.compat, pytest.mark.scenario("admin")]

# -- topics ---------------------------------------------------------------------------------------


@pytest.mark.scenario(needs=["create_topic", "list_topics", "describe_topic", "delete_topic"])
def test_the_life_of_a_topic(driver: Driver, fresh_name: Callable[..., str]) -> None:
    name = fresh_name("life")
    assert name not in driver.call("list_topics")
    driver.call("create_topic", topic=name, partitions=3)
    until(lambda: name in driver.call("list_topics"), "the topic is listed")
    assert driver.call("describe_topic", topic=name) == {"partitions": 3, "replicas": 1}
    driver.call("delete_topic", topic=name)
    until(lambda: name not in driver.call("list_topics"), "the topic is gone")


@pytest.mark.scenario(needs=["create_topic"])
def test_a_topic_that_is_there(driver: Driver, topic: str) -> None:
    with fails("TOPIC_ALREADY_EXISTS"):
        driver.call("create_topic", topic=topic, partitions=1)


@pytest.mark.scenario(needs=["create_topic"])
@pytest.mark.parametrize("name", ["no spaces", "no/slashes", "..", "x" * 250])
def test_a_name_that_no_topic_may_have(driver: Driver, name: str) -> None:
    with fails("INVALID_TOPIC_EXCEPTION"):
        driver.call("create_topic", topic=name, partitions=1)


@pytest.mark.scenario(needs=["create_topic"])
def test_a_topic_without_partitions(driver: Driver, fresh_name: Callable[..., str]) -> None:
    with fails(
        "INVALID_PARTITIONS", "_INVALID_ARG", "ValueError", "InvalidArgument"
    ):  # some clients refuse it themselves
        driver.call("create_topic", topic=fresh_name(), partitions=0)


@pytest.mark.scenario(needs=["create_topic", "topic settings"])
@pytest.mark.parametrize("config", [{"retention.ms": "soon"}, {"cleanup.policy": "burn"}, {"no.such.setting": "1"}])
def test_a_topic_with_a_bad_setting(driver: Driver, fresh_name: Callable[..., str], config: dict[str, str]) -> None:
    with fails("INVALID_CONFIG"):
        driver.call("create_topic", topic=fresh_name(), partitions=1, config=config)


@pytest.mark.scenario(needs=["delete_topic"])
def test_deleting_a_topic_that_is_not_there(driver: Driver, fresh_name: Callable[..., str]) -> None:
    with fails("UNKNOWN_TOPIC_OR_PARTITION"):
        driver.call("delete_topic", topic=fresh_name())


@pytest.mark.scenario(needs=["add_partitions", "describe_topic", "send", "assign", "poll"])
def test_more_partitions(driver: Driver, topic: str) -> None:
    produce(driver, topic, values("old"))
    driver.call("add_partitions", topic=topic, partitions=3)
    until(lambda: driver.call("describe_topic", topic=topic)["partitions"] == 3, "three partitions")
    with reader(driver, topic) as name:
        assert texts(take(driver, name, 1)) == ["old"]


@pytest.mark.scenario(needs=["add_partitions"])
@pytest.mark.parametrize("count", [1, 3])
def test_no_fewer_nor_as_many_partitions(driver: Driver, topic3: str, count: int) -> None:
    with fails("INVALID_PARTITIONS"):
        driver.call("add_partitions", topic=topic3, partitions=count)


# -- records --------------------------------------------------------------------------------------


@pytest.mark.scenario(needs=["delete_records", "send", "list_offsets", "assign", "poll"])
def test_deleted_records_do_not_come(driver: Driver, topic: str) -> None:
    produce(driver, topic, numbered(10))
    assert driver.call("delete_records", topic=topic, offsets=[[0, 4]]) == [[0, 4]]
    assert driver.call("list_offsets", topic=topic, at="earliest") == [[0, 4]]
    with reader(driver, topic) as name:
        assert texts(take(driver, name, 6)) == ["4", "5", "6", "7", "8", "9"]


@pytest.mark.scenario(needs=["delete_records", "send"])
def test_records_that_are_not_there_yet_are_not_deleted(driver: Driver, topic: str) -> None:
    produce(driver, topic, numbered(3))
    with fails("OFFSET_OUT_OF_RANGE"):
        driver.call("delete_records", topic=topic, offsets=[[0, 4]])


# -- groups ---------------------------------------------------------------------------------------


@pytest.mark.scenario(needs=["set_group_offsets", "group_offsets"])
def test_a_group_is_made_by_its_offsets(driver: Driver, topic3: str, group: str) -> None:
    driver.call("set_group_offsets", group=group, offsets=[[topic3, 0, 4], [topic3, 2, 6]])
    assert sorted(driver.call("group_offsets", group=group)) == [[topic3, 0, 4], [topic3, 2, 6]]


@pytest.mark.scenario(needs=["set_group_offsets", "subscribe", "poll", "send"])
def test_a_group_begins_where_its_offsets_are_set(driver: Driver, topic: str, group: str) -> None:
    produce(driver, topic, numbered(10))
    driver.call("set_group_offsets", group=group, offsets=[[topic, 0, 8]])
    with consumer(driver, [topic], group=group) as name:
        assert texts(take(driver, name, 2)) == ["8", "9"]


@pytest.mark.scenario(needs=["set_group_offsets", "delete_group_offsets", "group_offsets"])
def test_offsets_are_forgotten(driver: Driver, topic3: str, group: str) -> None:
    driver.call("set_group_offsets", group=group, offsets=[[topic3, n, 4] for n in range(3)])
    driver.call("delete_group_offsets", group=group, topic=topic3, partitions=[0, 2])
    assert driver.call("group_offsets", group=group) == [[topic3, 1, 4]]


@pytest.mark.scenario(needs=["set_group_offsets", "delete_group", "list_groups"])
def test_a_group_is_deleted(driver: Driver, topic: str, group: str) -> None:
    driver.call("set_group_offsets", group=group, offsets=[[topic, 0, 4]])
    driver.call("delete_group", group=group)
    assert group not in driver.call("list_groups")


@pytest.mark.scenario(needs=["delete_group"])
def test_deleting_a_group_that_is_not_there(driver: Driver, group: str) -> None:
    with fails("GROUP_ID_NOT_FOUND"):
        driver.call("delete_group", group=group)


@pytest.mark.scenario(needs=["delete_group", "subscribe", "poll", "assignment"])
def test_a_group_with_members_is_not_deleted(driver: Driver, topic: str, group: str) -> None:
    with consumer(driver, [topic], group=group) as name:
        settle([(driver, name)], [1])
        with fails("NON_EMPTY_GROUP"):
            driver.call("delete_group", group=group)


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.scenario("configs", needs=["create_topic", "topic settings", "topic_config"])
def test_settings_of_a_new_topic(driver: Driver, fresh_name: Callable[..., str]) -> None:
    name = fresh_name()
    driver.call(
        "create_topic", topic=name, partitions=1, config={"retention.ms": "12345", "cleanup.policy": "compact,delete"}
    )
    config = once_known(lambda: driver.call("topic_config", topic=name))
    assert (config["retention.ms"], config["cleanup.policy"]) == ("12345", "compact,delete")
    assert (config["segment.bytes"], config["compression.type"]) == ("1073741824", "producer")


@pytest.mark.scenario("configs", needs=["set_config", "topic_config"])
def test_one_setting_is_changed_and_the_others_stay(driver: Driver, make_topic: Callable[..., str]) -> None:
    topic = make_topic(retention_ms=1000, segment_ms=2000)
    driver.call("set_config", topic=topic, config={"retention.ms": "3000"})
    until(lambda: driver.call("topic_config", topic=topic)["retention.ms"] == "3000", "the new value")
    assert driver.call("topic_config", topic=topic)["segment.ms"] == "2000"
    driver.call("set_config", topic=topic, config={"retention.ms": None})
    until(lambda: driver.call("topic_config", topic=topic)["retention.ms"] == "604800000", "the default")


@pytest.mark.scenario("configs", needs=["replace_config", "topic_config"])
def test_all_settings_are_replaced(driver: Driver, make_topic: Callable[..., str]) -> None:
    topic = make_topic(retention_ms=1000, segment_ms=2000)
    driver.call("replace_config", topic=topic, config={"retention.ms": "3000"})
    until(lambda: driver.call("topic_config", topic=topic)["retention.ms"] == "3000", "the new value")
    assert driver.call("topic_config", topic=topic)["segment.ms"] == "604800000"


@pytest.mark.scenario("configs", needs=["set_config", "topic_config"])
@pytest.mark.parametrize("config", [{"retention.ms": "soon"}, {"min.insync.replicas": "0"}, {"no.such.setting": "1"}])
def test_a_bad_setting_changes_nothing(driver: Driver, make_topic: Callable[..., str], config: dict[str, str]) -> None:
    topic = make_topic(segment_ms=2000)
    with fails("INVALID_CONFIG", "INVALID_REQUEST"):
        driver.call("set_config", topic=topic, config={"segment.ms": "3000", **config})
    assert driver.call("topic_config", topic=topic)["segment.ms"] == "2000"


@pytest.mark.scenario("configs", needs=["topic_config"])
def test_settings_of_a_topic_that_is_not_there(driver: Driver, fresh_name: Callable[..., str]) -> None:
    with fails("UNKNOWN_TOPIC_OR_PARTITION"):
        driver.call("topic_config", topic=fresh_name())


@pytest.mark.scenario("configs", needs=["set_config", "send"])
def test_a_setting_acts_at_once(driver: Driver, topic: str) -> None:
    driver.call("set_config", topic=topic, config={"max.message.bytes": "1000"})

    def refused() -> bool:
        try:
            produce(driver, topic, [Record(bytes(2000))])
        except DriverError as failure:
            return failure.code in TOO_LARGE
        return False

    until(refused, "the record is too large")


# -- the cluster ----------------------------------------------------------------------------------


@pytest.mark.scenario(needs=["describe_cluster"])
def test_one_broker(driver: Driver) -> None:
    assert driver.call("describe_cluster") == {"brokers": 1}
