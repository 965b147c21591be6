"""DeleteTopics: v1-6.

Deletes topics with everything in them. A topic created again under the name is a new one.

Versions:
    v5: error_message. v6: by name or by id (KIP-516).
Behaviour:
    * Answers once the deletion is durable; the bytes go after that. timeout_ms is not used: it is one write.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID: no such topic, or it is being deleted already.
    INVALID_REQUEST: neither name nor id, both, or a topic twice in the request.
    TOPIC_DELETION_DISABLED: delete.topic.enable is false.
    INVALID_TOPIC_EXCEPTION: the topic is internal; Kafka would delete it.
    KAFKA_STORAGE_ERROR: the store failed, the topic is still there. REQUEST_TIMED_OUT: the broker is stopping.
Source:
    KIP-516, KIP-599; ControllerApis.deleteTopics in Apache Kafka 4.
"""

from __future__ import annotations

from collections import Counter

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
    asked = _asked(request)
    found = [_find(one, services) for one in asked]
    times = Counter(topic.id for topic in found if isinstance(topic, Topic))
    deletions: list[Token] = []
    for topic in found:
        if isinstance(topic, TopicError):
            deletions.append(completed(topic))
        elif times[topic.id] > 1:
            deletions.append(completed(TopicError(ErrorCode.INVALID_REQUEST, "Duplicate topic in the request.")))
        else:
            deletions.append(services.topics.delete(topic))

    def finish(results: list[TopicError | None] | Ended) -> DeleteTopicsResponse:
        if isinstance(results, Ended):
            return refuse(request, ErrorCode.REQUEST_TIMED_OUT)
        return DeleteTopicsResponse(
            responses=[_answer(one, topic, error) for one, topic, error in zip(asked, found, results, strict=True)]
        )

    return Pending(gather(deletions), finish)


def _asked(request: DeleteTopicsRequest) -> list[DeleteTopicState]:
    """Before v6 there were only names."""
    return request.topics or [DeleteTopicState(name) for name in request.topic_names]


def _find(asked: DeleteTopicState, services: Services) -> Topic | TopicError:
    by_id = asked.topic_id != ZERO_UUID
    if by_id and asked.name is not None:
        return TopicError(ErrorCode.INVALID_REQUEST, "You may not specify both topic name and topic id.")
    if by_id:
        found = services.topics.by_id(asked.topic_id)
        return found or TopicError(ErrorCode.UNKNOWN_TOPIC_ID, "This server does not host this topic ID.")
    if asked.name is None:
        return TopicError(ErrorCode.INVALID_REQUEST, "Neither topic name nor id were specified.")
    return services.topics.get(asked.name) or TopicError(
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is no topic '{asked.name}'."
    )


def _answer(asked: DeleteTopicState, found: Topic | TopicError, error: TopicError | None) -> DeletableTopicResult:
    result = DeletableTopicResult(name=asked.name, topic_id=asked.topic_id)
    if isinstance(found, Topic):
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
