"""What brokers tell of a group, of the classic protocol and of that of KIP-848, in the same words."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from flymq.client.admin.types import GroupDescription, Member
from flymq.client.kafka_python import kafka
from flymq.client.messages import Partition
from flymq.client.requests import Request
from flymq_protocol.api.k69_consumer_group_describe import Assignment, ConsumerGroupDescribeRequest

DEAD = "Dead"
CLASSIC, CONSUMER = "classic", "consumer"
_NOT_FOUND = 69
_PROTOCOLS = {0: CLASSIC, 1: CONSUMER}  # of a member


async def described(admin: Any, group: str) -> GroupDescription:
    """All but its coordinator and its partitions. Dead, without members: there is no such group.

    Asks through a KafkaAdminClient, and raises its errors. Not by its public method: that fails at members whose words
    are not a consumer's, such as Kafka Connect's, and knows the classic protocol only.
    """
    from kafka.protocol.admin import DescribeGroupsRequest

    errors = kafka().errors
    node = (await admin._find_coordinator_ids([group]))[group]
    (found,) = (await admin._manager.send(DescribeGroupsRequest(groups=[group]), node_id=node)).groups
    if found.error_code not in (0, _NOT_FOUND):
        raise errors.for_code(found.error_code)()
    # Dead, from brokers that have no error for it: there is no such group, or it is of the other protocol.
    if not found.error_code and found.group_state != DEAD:
        return _of_classic(group, found)
    request = Request(ConsumerGroupDescribeRequest([group]))
    try:
        (found,) = (await admin._manager.send(request, node_id=node)).groups
        if found.error_code:
            raise errors.for_code(found.error_code)()
    except (errors.GroupIdNotFoundError, errors.UnsupportedVersionError):  # the latter: before Kafka 3.7, or turned off
        return GroupDescription(group, CLASSIC, DEAD, "", "", "", [], [])
    return _of_consumer(group, found)


def _of_classic(group: str, found: Any) -> GroupDescription:
    return GroupDescription(
        group_id=group,
        group_type=CLASSIC,
        state=found.group_state,
        protocol_type=found.protocol_type,
        protocol=found.protocol_data,
        coordinator="",
        members=_sorted(
            Member(
                member_id=row.member_id,
                client_id=row.client_id,
                host=row.client_host,
                instance_id=row.group_instance_id,
                assignment=_assignment(row.member_assignment) if found.protocol_type == "consumer" else [],
            )
            for row in found.members
        ),
        partitions=[],
    )


def _of_consumer(group: str, found: Any) -> GroupDescription:
    return GroupDescription(
        group_id=group,
        group_type=CONSUMER,
        state=found.group_state,
        protocol_type="consumer",
        protocol=found.assignor_name,
        coordinator="",
        members=_sorted(
            Member(
                member_id=row.member_id,
                client_id=row.client_id,
                host=row.client_host,
                instance_id=row.instance_id,
                assignment=_partitions(row.assignment),
                protocol=_PROTOCOLS.get(row.member_type, ""),
                epoch=row.member_epoch,
                target=_partitions(row.target_assignment),
            )
            for row in found.members
        ),
        partitions=[],
        group_epoch=found.group_epoch,
        assignment_epoch=found.assignment_epoch,
    )


def _sorted(members: Iterable[Member]) -> list[Member]:
    return sorted(members, key=lambda member: (member.client_id, member.member_id))


def _assignment(encoded: bytes) -> list[Partition]:
    """Empty where the group is rebalancing, and where the members have words of their own for it."""
    from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

    try:
        topics = ConsumerProtocolAssignment.decode(encoded).assigned_partitions if encoded else ()
    except (ValueError, struct.error):
        return []
    return sorted(Partition(entry.topic, number) for entry in topics for number in entry.partitions)


def _partitions(assignment: Assignment) -> list[Partition]:
    return sorted(Partition(row.topic_name, number) for row in assignment.topic_partitions for number in row.partitions)
