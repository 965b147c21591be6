"""OffsetFetch: v1-10.

Reads the positions that a group stored.

Versions:
    v2: null topics = all; top-level error. v5: leader epoch (KIP-320).
    v7: require_stable (KIP-447).
    v8: many groups (KIP-709). v9: member id and epoch, checked in consumer groups only (KIP-848). v10: topic ids.
Behaviour:
    * An unknown group, topic or partition: offset -1, epoch -1, metadata "", no error.
    * Offsets of a topic that was deleted and made anew are not those of the new one: -1.
    * Waits until commits that came before are durable.
    * require_stable: an offset that an open transaction may change isn't told; the client asks again.
Errors:
    UNSTABLE_OFFSET_COMMIT: of a partition: it has an offset in an open transaction.
    UNKNOWN_TOPIC_ID: v10, no such id.
    UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH (ILLEGAL_GENERATION for a classic member): v9, a consumer group does not
        know the member, or it is at another epoch.
    COORDINATOR_NOT_AVAILABLE: a commit that came before could not be stored, or shutting down; try again.
Source:
    KafkaApis.handleOffsetFetchRequest, OffsetMetadataManager.fetchOffsets in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.core.group.events import UNSTABLE, CommittedOffset, FetchedTopic, FetchOffsets
from flymq.env import gather
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Ended, Pending
from flymq_protocol.api.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)
from flymq_protocol.errors import ErrorCode

_NONE_STORED = CommittedOffset(-1, -1, "", -1, -1)
_NO_TOPIC = b""  # an id that no offset has

_Asked = list[OffsetFetchRequestTopics] | list[OffsetFetchRequestTopic]
_Partition = type[OffsetFetchResponsePartition] | type[OffsetFetchResponsePartitions]


def handle(ctx: RequestContext, request: OffsetFetchRequest, services: Services) -> OffsetFetchResponse | Pending:
    answered: OffsetFetchResponse | Pending
    if ctx.api_version < 8:
        wanted = _wanted(services, request.topics, by_id=False)
        event = FetchOffsets(request.group_id, wanted, require_stable=request.require_stable)
        answered = when_done(
            services.groups.request(event), lambda result: _one_group(ctx, request, services, result)
        )
        return answered
    by_id = ctx.api_version >= 10
    # All offsets of a group asked for over and over are told once: kilobytes must not ask for gigabytes.
    whole = {group.group_id: group for group in request.groups if group.topics is None}
    request.groups = [group for group in request.groups if group.topics is not None or whole[group.group_id] is group]
    tokens = [
        services.groups.request(FetchOffsets(
            group.group_id, _wanted(services, group.topics, by_id=by_id), group.member_id, group.member_epoch,
            require_stable=request.require_stable,
        ))
        for group in request.groups
    ]
    answered = when_done(gather(tokens), lambda results: _many_groups(request, services, results, by_id=by_id))
    return answered


def _wanted(services: Services, asked: _Asked | None, *, by_id: bool) -> list[tuple[bytes, list[int]]] | None:
    if asked is None:
        return None
    wanted = []
    for topic in asked:
        if by_id:
            assert isinstance(topic, OffsetFetchRequestTopics)
            found = services.topics.by_id(topic.topic_id)
        else:
            found = services.topics.get(topic.name)
        wanted.append((_NO_TOPIC if found is None else found.id, topic.partition_indexes))
    return wanted


def _one_group(
    ctx: RequestContext, request: OffsetFetchRequest, services: Services, result: Any
) -> OffsetFetchResponse:
    error = failure(result)
    if error is not None:
        response = refuse(request, error)
        if ctx.api_version >= 2:
            response.topics = []
        return response
    if request.topics is None:
        return OffsetFetchResponse(topics=[
            OffsetFetchResponseTopic(topic.name, _all_partitions(OffsetFetchResponsePartition, fetched))
            for fetched in result
            if (topic := services.topics.by_id(fetched.topic_id)) is not None
        ])
    return OffsetFetchResponse(topics=[
        OffsetFetchResponseTopic(
            topic.name, _partitions(OffsetFetchResponsePartition, fetched, topic.partition_indexes, ErrorCode.NONE)
        )
        for topic, fetched in zip(request.topics, result, strict=True)
    ])


def _many_groups(request: OffsetFetchRequest, services: Services, results: Any, *, by_id: bool) -> OffsetFetchResponse:
    if isinstance(results, Ended):
        results = [results] * len(request.groups)
    groups = []
    for group, result in zip(request.groups, results, strict=True):
        answer = OffsetFetchResponseGroup(group.group_id)
        groups.append(answer)
        error = failure(result)
        if error is not None:
            answer.error_code = error
        elif group.topics is None:
            answer.topics = [
                OffsetFetchResponseTopics(topic.name, topic.id, _all_partitions(OffsetFetchResponsePartitions, fetched))
                for fetched in result
                if (topic := services.topics.by_id(fetched.topic_id)) is not None
            ]
        else:
            for topic_asked, fetched in zip(group.topics, result, strict=True):
                unknown = by_id and fetched.topic_id == _NO_TOPIC
                answer.topics.append(OffsetFetchResponseTopics(
                    topic_asked.name,
                    topic_asked.topic_id,
                    _partitions(
                        OffsetFetchResponsePartitions, fetched, topic_asked.partition_indexes,
                        ErrorCode.UNKNOWN_TOPIC_ID if unknown else ErrorCode.NONE,
                    ),
                ))
    return OffsetFetchResponse(groups=groups)


def _all_partitions(make: _Partition, fetched: FetchedTopic) -> list[Any]:
    return _partitions(make, fetched, list(fetched.partitions), ErrorCode.NONE)


def _partitions(make: _Partition, fetched: FetchedTopic, indexes: list[int], error: ErrorCode) -> list[Any]:
    stored = fetched.partitions
    answers = []
    for index in indexes:
        row = stored.get(index, _NONE_STORED)
        code = ErrorCode.UNSTABLE_OFFSET_COMMIT if row is UNSTABLE else error
        answers.append(make(index, row.offset, row.leader_epoch, row.metadata, code))
    return answers


def refuse(request: OffsetFetchRequest, code: ErrorCode) -> OffsetFetchResponse:
    """The same error for every group, and for every partition up to v7 (v1 has no other place for it)."""
    nothing = FetchedTopic(_NO_TOPIC, {})
    return OffsetFetchResponse(
        topics=[
            OffsetFetchResponseTopic(
                topic.name, _partitions(OffsetFetchResponsePartition, nothing, topic.partition_indexes, code)
            )
            for topic in request.topics or ()
        ],
        error_code=code,
        groups=[OffsetFetchResponseGroup(group.group_id, error_code=code) for group in request.groups],
    )
