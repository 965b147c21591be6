"""DescribeTopicPartitions on the wire."""

from __future__ import annotations

from typing import Any

from flymq import EmbeddedBroker
from flymq_protocol.api.k75_describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    TopicRequest,
)
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_topic


def ask(client: Client, *names: str, limit: int = 2000, cursor: tuple[str, int] | None = None) -> Any:
    at = None if cursor is None else Cursor(*cursor)
    return client.call(DescribeTopicPartitionsRequest([TopicRequest(name) for name in names], limit, at), 0)


def shown(answer: Any) -> dict[str, list[int]]:
    return {topic.name: [one.partition_index for one in topic.partitions] for topic in answer.topics}


def next_page(answer: Any) -> tuple[str, int] | None:
    cursor = answer.next_cursor
    return None if cursor is None else (cursor.topic_name, cursor.partition_index)


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, 2)
    (found,) = ask(client, topic.name).topics
    assert (found.error_code, found.topic_id, found.is_internal) == (0, topic.id, False)
    assert found.topic_authorized_operations == 3576  # all that a topic knows
    for index, one in enumerate(found.partitions):
        assert (one.error_code, one.partition_index, one.leader_id, one.leader_epoch) == (0, index, 1, 0)
        assert (one.replica_nodes, one.isr_nodes, one.offline_replicas) == ([1], [1], [])
        assert one.eligible_leader_replicas == one.last_known_elr == []


def test_every_page_begins_where_the_one_before_ended(client: Client) -> None:
    sizes = (3, 1, 4)
    topics = sorted(a_topic(client, size).name for size in sizes)
    whole = shown(ask(client, *topics))
    assert [len(found) for found in whole.values()] == list(sizes)
    for limit in range(1, 9):
        seen: dict[str, list[int]] = {name: [] for name in topics}
        cursor = None
        while True:
            page = ask(client, *reversed(topics), limit=limit, cursor=cursor)
            found = shown(page)
            assert sum(map(len, found.values())) <= limit
            for name, indexes in found.items():
                seen[name] += indexes
            cursor = next_page(page)
            if cursor is None:
                break
        assert seen == whole


def test_pages_as_kafka_cuts_them(client: Client) -> None:
    one, two = sorted(a_topic(client, size).name for size in (2, 3))
    page = ask(client, two, one, limit=4)
    assert (shown(page), next_page(page)) == ({one: [0, 1], two: [0, 1]}, (two, 2))
    assert shown(ask(client, one, two, cursor=(two, 1))) == {two: [1, 2]}
    assert shown(ask(client, one, two, cursor=(one, 99))) == {one: [], two: [0, 1, 2]}
    for limit in (1, 0, -1):
        page = ask(client, one, two, limit=limit)
        assert (shown(page), next_page(page)) == ({one: [0]}, (one, 1))


def test_no_topic_stands_for_all(client: Client) -> None:
    topic = a_topic(client).name
    found = {one.name: one.is_internal for one in ask(client).topics}
    assert found[topic] is False
    assert found["__consumer_offsets"] is True
    assert list(found) == sorted(found)


def test_errors(client: Client) -> None:
    topic = a_topic(client).name
    codes = {one.name: one.error_code for one in ask(client, "a/b", "none", topic).topics}
    assert codes == {"a/b": ErrorCode.INVALID_TOPIC_EXCEPTION, "none": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, topic: 0}
    assert [one.error_code for one in ask(client, topic, cursor=(topic, -1)).topics] == [ErrorCode.INVALID_REQUEST]
    assert [one.error_code for one in ask(client, topic, cursor=("none", 0)).topics] == [ErrorCode.INVALID_REQUEST]


def test_the_brokers_limit() -> None:
    with (
        EmbeddedBroker(config={"max.request.partition.size.limit": 2}) as broker,
        Client(broker.port) as client,
    ):
        topic = a_topic(client, 3).name
        page = ask(client, topic)
        assert (shown(page), next_page(page)) == ({topic: [0, 1]}, (topic, 2))
