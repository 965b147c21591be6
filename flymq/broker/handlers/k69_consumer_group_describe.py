"""ConsumerGroupDescribe: v0-1.

State, epochs, members and assignments of consumer groups (KIP-848).

Versions:
    v1: member_type (KIP-1099): 0 speaks the classic protocol, 1 the new one.
Behaviour:
    * Topics that are gone are left out of assignments.
    * A group of classic members only is a classic group: DescribeGroups has it.
Errors:
    INVALID_GROUP_ID: empty. GROUP_ID_NOT_FOUND: no such consumer group.
    COORDINATOR_NOT_AVAILABLE: try again.
Source:
    KIP-848, KIP-1099; GroupMetadataManager.consumerGroupDescribe in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.broker.operations import GROUP_OPERATIONS, NOT_ASKED
from flymq.core.group.consumer.events import ConsumerGroupDescription, Partition
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k69_consumer_group_describe import (
    Assignment,
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
    Member,
    TopicPartitions,
)
from flymq_protocol.errors import ErrorCode

_CLASSIC, _CONSUMER = 0, 1


def handle(
    ctx: RequestContext, request: ConsumerGroupDescribeRequest, services: Services
) -> ConsumerGroupDescribeResponse | Pending:
    # Named over and over, it is told once: kilobytes must not ask for gigabytes.
    group_ids = list(dict.fromkeys(request.group_ids))
    operations = GROUP_OPERATIONS if request.include_authorized_operations else NOT_ASKED

    def finish(results: Any) -> ConsumerGroupDescribeResponse:
        error = failure(results)
        if error is not None:
            return refuse(request, error)
        return ConsumerGroupDescribeResponse(groups=[
            _described(operations, group_id, result) for group_id, result in zip(group_ids, results, strict=True)
        ])

    answered: ConsumerGroupDescribeResponse | Pending = when_done(
        services.groups.describe_consumer_groups(group_ids), finish
    )
    return answered


def _described(
    operations: int, group_id: str, result: ConsumerGroupDescription | ErrorCode | str
) -> DescribedGroup:
    if not group_id:
        return DescribedGroup(error_code=ErrorCode.INVALID_GROUP_ID, group_id=group_id)
    if isinstance(result, str):
        return DescribedGroup(error_code=ErrorCode.GROUP_ID_NOT_FOUND, error_message=result, group_id=group_id)
    if isinstance(result, ErrorCode):
        return DescribedGroup(error_code=result, group_id=group_id)
    names = result.topic_names
    return DescribedGroup(
        group_id=group_id,
        group_state=result.state,
        group_epoch=result.group_epoch,
        assignment_epoch=result.assignment_epoch,
        assignor_name=result.assignor,
        members=[
            Member(
                member.member_id, member.instance_id, member.rack_id, member.member_epoch, member.client_id,
                member.client_host, member.topic_names, member.regex or "", _assignment(member.assigned, names),
                _assignment(member.target, names), _CLASSIC if member.is_classic else _CONSUMER,
            )
            for member in result.members
        ],
        authorized_operations=operations,
    )


def _assignment(partitions: list[Partition], names: dict[bytes, str]) -> Assignment:
    topics: dict[bytes, list[int]] = {}
    for topic_id, partition in partitions:
        if topic_id in names:
            topics.setdefault(topic_id, []).append(partition)
    return Assignment([TopicPartitions(topic_id, names[topic_id], numbers) for topic_id, numbers in topics.items()])


def refuse(request: ConsumerGroupDescribeRequest, code: ErrorCode) -> ConsumerGroupDescribeResponse:
    """The same error for every group."""
    return ConsumerGroupDescribeResponse(groups=[
        DescribedGroup(error_code=code, group_id=group_id) for group_id in request.group_ids
    ])
