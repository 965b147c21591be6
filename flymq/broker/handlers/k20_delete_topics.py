"""DeleteTopics: v1-6.

Deletes topics with everything in them. A topic created again under the name is a new one.

Versions:
    v5: error_message. v6: by name or by id (KIP-516).
Behaviour:
    * Answers once the deletion is durable; the bytes go after that. timeout_ms is not used: it is one write.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID: no such topic, or it is being deleted already.
    INVALID_REQUEST: neither name nor id, both, or a topic twice in the request: it is answered once.
    TOPIC_DELETION_DISABLED: delete.topic.enable is false.
    INVALID_TOPIC_EXCEPTION: the topic is internal; Kafka would delete it.
    KAFKA_STORAGE_ERROR: the store failed, the topic is still there. REQUEST_TIMED_OUT: the broker is stopping.
Source:
    KIP-516, KIP-599; ControllerApis.deleteTopics in Apache Kafka 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from flymq.broker.context import RequestContext, Services
from flymq.core.catalog import Topic, TopicError
from flymq.env import Token, completed, gather
from flymq.runtime.waiting import Ended, Pending
from flymq_protocol.api.k20_delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from flymq_protocol.errors import ErrorCode
from flymq_protocol.types import ZERO_UUID


def handle(ctx: RequestContext, request: DeleteTopicsRequest, services: Services) -> Pending:
    found = list(_find(_asked(request), services))
    deletions: list[Token] = [
        services.topics.delete(topic) if error is None and topic is not None else completed(error)
        for _, topic, error in found
    ]

    def finish(results: list[TopicError | None] | Ended) -> DeleteTopicsResponse:
        if isinstance(results, Ended):
            return refuse(request, ErrorCode.REQUEST_TIMED_OUT)
        return DeleteTopicsResponse(
            responses=[_answer(one, topic, error) for (one, topic, _), error in zip(found, results, strict=True)]
        )

    return Pending(gather(deletions), finish)


def _asked(request: DeleteTopicsRequest) -> list[DeleteTopicState]:
    """Before v6 there were only names."""
    return request.topics or [DeleteTopicState(name) for name in request.topic_names]


def _find(
    asked: list[DeleteTopicState], services: Services
) -> Iterator[tuple[DeleteTopicState, Topic | None, TopicError | None]]:
    """Each topic that is asked for, once, and what is wrong with that."""
    times = Counter((one.name, one.topic_id) for one in asked)
    once = [key for key, count in times.items() if count == 1]
    named = [services.topics.get(name) for name, topic_id in once if name is not None and topic_id == ZERO_UUID]
    in_both_ways = {topic.id for topic in named if topic is not None and (None, topic.id) in once}
    for (name, topic_id), count in times.items():
        one = DeleteTopicState(name, topic_id)
        by_id = topic_id != ZERO_UUID
        if by_id and name is not None:
            yield from [(one, None, _invalid("You may not specify both topic name and topic id."))] * count
        elif not by_id and name is None:
            yield from [(one, None, _invalid("Neither topic name nor id were specified."))] * count
        elif count > 1:
            yield one, None, _invalid(f"Duplicate topic {'id' if by_id else 'name'}.")
        elif name is None:
            if topic_id not in in_both_ways:
                gone = TopicError(ErrorCode.UNKNOWN_TOPIC_ID, "This server does not host this topic ID.")
                topic = services.topics.by_id(topic_id)
                yield one, topic, None if topic else gone
        else:
            topic = services.topics.get(name)
            if topic is None:
                yield one, None, TopicError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is no topic '{name}'.")
            else:
                is_twice = topic.id in in_both_ways
                why = "The provided topic name maps to an ID that was already supplied."
                yield one, topic, _invalid(why) if is_twice else None


def _invalid(why: str) -> TopicError:
    return TopicError(ErrorCode.INVALID_REQUEST, why)


def _answer(asked: DeleteTopicState, found: Topic | None, error: TopicError | None) -> DeletableTopicResult:
    result = DeletableTopicResult(name=asked.name, topic_id=asked.topic_id)
    if found is not None:
        result.name = found.name
        result.topic_id = found.id
    if error is not None:
        result.error_code = error.code
        result.error_message = error.message
    return result


def refuse(request: DeleteTopicsRequest, code: ErrorCode) -> DeleteTopicsResponse:
    """The same error for every topic."""
    return DeleteTopicsResponse(
        responses=[
            DeletableTopicResult(name=one.name, topic_id=one.topic_id, error_code=code) for one in _asked(request)
        ]
    )
