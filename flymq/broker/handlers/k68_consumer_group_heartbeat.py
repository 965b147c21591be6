"""ConsumerGroupHeartbeat: v0-1.

Joins, stays in or leaves a consumer group, which assigns partitions by itself (KIP-848).

Versions:
    v1: subscribed_topic_regex; the member brings its id (KIP-1082). v0: the broker makes it.
Behaviour:
    * Epoch 0 (re)joins, -1 leaves, -2: a static member leaves and will be back within its session.
    * Null (-1 for the rebalance timeout) means unchanged; a heartbeat that changes nothing writes nothing.
    * The assignment is answered when it changed, on joining and to a full request; else null.
    * A classic group that is empty, or live and of type "consumer", becomes a consumer group when its first
      member of this protocol joins (group.consumer.migration.policy).
    * Patterns are RE2's, over the topics that are not internal.
Errors:
    INVALID_REQUEST: see the text. UNSUPPORTED_ASSIGNOR: not in group.consumer.assignors.
    INVALID_REGULAR_EXPRESSION: v1, not RE2's.
    GROUP_ID_NOT_FOUND: no such group, and the epoch is not 0; or a classic one that can't be upgraded.
    UNKNOWN_MEMBER_ID: not, or no more, a member.
    FENCED_MEMBER_EPOCH: not the member's epoch; it gives up all partitions and rejoins.
    UNRELEASED_INSTANCE_ID: another member has this instance id. FENCED_INSTANCE_ID: another has taken it over.
    GROUP_MAX_SIZE_REACHED: group.consumer.max.size. COORDINATOR_NOT_AVAILABLE: try again.
Source:
    KIP-848, KIP-1082; GroupMetadataManager.consumerGroupHeartbeat in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.core.group.consumer.events import ConsumerHeartbeat, HeartbeatResult
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k68_consumer_group_heartbeat import (
    Assignment,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitions,
)
from flymq_protocol.errors import ErrorCode


def handle(
    ctx: RequestContext, request: ConsumerGroupHeartbeatRequest, services: Services
) -> ConsumerGroupHeartbeatResponse | Pending:
    names = request.subscribed_topic_names
    owned = request.topic_partitions
    event = ConsumerHeartbeat(
        request.group_id,
        request.member_id,
        request.member_epoch,
        instance_id=request.instance_id,
        rack_id=request.rack_id,
        rebalance_timeout_ms=request.rebalance_timeout_ms,
        topic_names=None if names is None else frozenset(names),
        regex=request.subscribed_topic_regex,
        assignor=request.server_assignor,
        owned=None if owned is None else frozenset(
            (topic.topic_id, partition) for topic in owned for partition in topic.partitions
        ),
        api_version=ctx.api_version,
        client_id=ctx.client_id or "",
        client_host="/" + ctx.client_host,
        unique="" if request.member_id else services.groups.unique(),
    )
    answered: ConsumerGroupHeartbeatResponse | Pending = when_done(services.groups.request(event), _response)
    return answered


def _response(result: Any) -> ConsumerGroupHeartbeatResponse:
    error = failure(result)
    if error is not None:
        return ConsumerGroupHeartbeatResponse(error_code=error)
    assert isinstance(result, HeartbeatResult)
    return ConsumerGroupHeartbeatResponse(
        error_code=result.error,
        error_message=result.message,
        member_id=result.member_id,
        member_epoch=result.member_epoch,
        heartbeat_interval_ms=result.heartbeat_interval_ms,
        assignment=None if result.assignment is None else _assignment(result.assignment),
    )


def _assignment(partitions: list[tuple[bytes, int]]) -> Assignment:
    topics: dict[bytes, list[int]] = {}
    for topic_id, partition in partitions:
        topics.setdefault(topic_id, []).append(partition)
    return Assignment([TopicPartitions(topic_id, numbers) for topic_id, numbers in topics.items()])


def refuse(request: ConsumerGroupHeartbeatRequest, code: ErrorCode) -> ConsumerGroupHeartbeatResponse:
    return ConsumerGroupHeartbeatResponse(error_code=code)
