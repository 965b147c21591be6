"""What wire tests ask again and again, in one line each."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Callable
from typing import Any

from flymq_protocol.api.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from flymq_protocol.api.k01_fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic
from flymq_protocol.api.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from flymq_protocol.api.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from flymq_protocol.api.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from flymq_protocol.api.k15_describe_groups import DescribeGroupsRequest
from flymq_protocol.api.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from flymq_protocol.api.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from flymq_protocol.api.k68_consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from flymq_protocol.errors import ErrorCode

from .client import TIMEOUT_S, Client

_RUN = f"{time.time_ns() // 10**6:x}"
_numbers = itertools.count(10_000)  # as wide each, so that names sort as they are made
NO_ID = bytes(16)
PROTOCOL = "range"
METADATA = b"\0\0" + bytes(4) + b"\xff" * 4
"""A subscription to nothing, version 0. Kafka parses it: a join with what it can't read is never answered."""


class Topic:
    """A topic's name and id."""

    def __init__(self, name: str, id: bytes) -> None:
        self.name = name
        self.id = id


def a_name(prefix: str = "wire") -> str:
    """For a topic or group that no other test has, also on a broker that ran already."""
    return f"{prefix}-{_RUN}-{next(_numbers)}"


def a_topic(client: Client, partitions: int = 1, **configs: object) -> Topic:
    """A new topic; settings by Kafka's names, `_` for `.`."""
    name = a_name()
    settings = [CreatableTopicConfig(key.replace("_", "."), str(value)) for key, value in configs.items()]
    request = CreateTopicsRequest([CreatableTopic(name, partitions, 1, [], settings)])
    created = client.call(request, 7).topics[0]
    assert created.error_code == ErrorCode.NONE, created
    until_there(client, name, partitions)
    return Topic(name, created.topic_id)


def until(read: Callable[[], Any], expected: Any) -> None:
    """Kafka answers some changes before they are seen: ask again until they are. The last answer is the error's."""
    deadline = time.monotonic() + TIMEOUT_S
    while (found := read()) != expected and time.monotonic() < deadline:
        pass
    assert found == expected


def until_there(client: Client, name: str, partitions: int = 1) -> None:
    """Kafka's answer to a creation may be ahead of the partitions' leader."""
    asked = [ListOffsetsPartition(index, timestamp=-2) for index in range(partitions)]
    until(lambda: _codes(client, name, asked), {ErrorCode.NONE})


def _codes(client: Client, name: str, asked: list[ListOffsetsPartition]) -> set[int]:
    request = ListOffsetsRequest(-1, 0, [ListOffsetsTopic(name, asked)])
    return {one.error_code for one in client.call(request, 7).topics[0].partitions}


def drop_topic(client: Client, topic: Topic) -> None:
    deleted = client.call(DeleteTopicsRequest([DeleteTopicState(topic.name)], timeout_ms=30_000), 6).responses[0]
    assert deleted.error_code == ErrorCode.NONE, deleted
    asked = [ListOffsetsPartition(0, timestamp=-2)]
    until(lambda: _codes(client, topic.name, asked), {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION})


def producing(
    topic: Topic, batch: bytes | None, index: int = 0, *, acks: int = -1, transactional_id: str | None = None
) -> ProduceRequest:
    data = [TopicProduceData(topic.name, topic.id, [PartitionProduceData(index, batch)])]
    return ProduceRequest(transactional_id, acks, 30_000, data)


def produce(
    client: Client, topic: Topic, batch: bytes | None, index: int = 0, *, acks: int = -1, version: int = 13
) -> Any:
    """The partition's answer."""
    response = client.call(producing(topic, batch, index, acks=acks), version)
    (answered,) = response.responses
    assert (answered.topic_id == topic.id) if version >= 13 else (answered.name == topic.name)
    return answered.partition_responses[0]


def wanted(index: int = 0, offset: int = 0, max_bytes: int = 1 << 20, **fields: Any) -> FetchPartition:
    return FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=max_bytes, **fields)


def fetching(topic: Topic | None, *partitions: FetchPartition, **fields: Any) -> FetchRequest:
    """Waits for nothing unless told to; without a session unless told to."""
    topics = [] if topic is None else [FetchTopic(topic.name, topic.id, list(partitions))]
    return FetchRequest(**{"max_wait_ms": 0, "min_bytes": 1, "topics": topics, **fields})


def forgetting(topic: Topic, *indexes: int) -> list[ForgottenTopic]:
    return [ForgottenTopic(topic.name, topic.id, list(indexes))]


def is_silent(client: Client) -> bool:
    """Nothing comes for a moment."""
    client.socket.settimeout(0.03)
    try:
        client.recv_frame()
    except TimeoutError:
        return True
    else:
        return False
    finally:
        client.socket.settimeout(TIMEOUT_S)


def told(response: Any) -> dict[int, Any]:
    """Partition index -> what a Fetch answered about it."""
    return {data.partition_index: data for topic in response.responses for data in topic.partitions}


def fetch(client: Client, topic: Topic, offset: int = 0, *, version: int = 18, **fields: Any) -> Any:
    """Partition 0's answer."""
    return told(client.call(fetching(topic, wanted(0, offset), **fields), version))[0]


def list_offset(
    client: Client, topic: Topic, timestamp: int, *, version: int = 11, isolation_level: int = 0, **fields: Any
) -> Any:
    partition = ListOffsetsPartition(0, timestamp=timestamp, **fields)
    request = ListOffsetsRequest(-1, isolation_level, [ListOffsetsTopic(topic.name, [partition])])
    response = client.call(request, version)
    return response.topics[0].partitions[0]


def subscription(topic: Topic) -> bytes:
    """A member's metadata of version 0, in which it is subscribed to one topic."""
    name = topic.name.encode()
    return struct.pack(">hih", 0, 1, len(name)) + name + b"\xff" * 4


def joining(
    group: str, member_id: str = "", *, instance_id: str | None = None, metadata: bytes = METADATA
) -> JoinGroupRequest:
    protocols = [JoinGroupRequestProtocol(PROTOCOL, metadata)]
    return JoinGroupRequest(group, 30_000, 30_000, member_id, instance_id, "consumer", protocols)


def join(client: Client, group: str, metadata: bytes = METADATA) -> tuple[str, int]:
    """A new group with one member, stable: (member id, generation)."""
    named = client.call(joining(group, metadata=metadata), 4)
    assert named.error_code == ErrorCode.MEMBER_ID_REQUIRED
    joined = client.call(joining(group, named.member_id, metadata=metadata), 4)
    assert joined.error_code == ErrorCode.NONE
    assignment = [SyncGroupRequestAssignment(joined.member_id, b"mine")]
    request = SyncGroupRequest(group, joined.generation_id, joined.member_id, assignments=assignment)
    assert client.call(request, 3).assignment == b"mine"
    return joined.member_id, joined.generation_id


def until_rebalancing(client: Client, group: str) -> None:
    """Until somebody else's join has arrived."""
    while client.call(DescribeGroupsRequest([group]), 5).groups[0].group_state != "PreparingRebalance":
        pass


def until_assignable(client: Client, topic: Topic) -> None:
    """Kafka's coordinator may hear of a new topic after its leader: until the first member of a group gets it."""
    group = a_name("assignable")

    def is_assigned() -> bool:
        request = ConsumerGroupHeartbeatRequest(
            group, "m", 0, rebalance_timeout_ms=30_000, subscribed_topic_names=[topic.name], topic_partitions=[]
        )
        joined = client.call(request, 1)
        client.call(ConsumerGroupHeartbeatRequest(group, "m", -1), 1)
        return joined.assignment is not None and bool(joined.assignment.topic_partitions)

    until(is_assigned, True)


def enter(
    client: Client, group: str, topic: Topic, member_id: str = "m", version: int = 1, **fields: Any
) -> ConsumerGroupHeartbeatResponse:
    """Join a consumer group of KIP-848."""
    until_assignable(client, topic)
    request = ConsumerGroupHeartbeatRequest(**{
        "group_id": group, "member_id": member_id, "member_epoch": 0, "rebalance_timeout_ms": 30_000,
        "subscribed_topic_names": [topic.name], "topic_partitions": [], **fields,
    })
    answer: ConsumerGroupHeartbeatResponse = client.call(request, version)
    assert answer.error_code == ErrorCode.NONE, answer
    return answer
