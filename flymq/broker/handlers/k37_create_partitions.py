"""CreatePartitions: v0-3.

Adds partitions to topics, each on its own: one that fails does not hold back the others.

Versions:
    v2: flexible. v3: nothing for FlyMQ (a quota's error, KIP-599).
Behaviour:
    * `count` is how many the topic is to have in all. Answers once that is durable and they can be written to;
      timeout_ms is not used: it is one write.
    * validate_only: same checks and answer, nothing kept.
    * Records stay where they are; clients notice at their next Metadata.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION: there is no such topic. INVALID_REQUEST: a topic twice in the request.
    INVALID_PARTITIONS: it has as many, or more. POLICY_VIOLATION: more than 10,000 in all.
    INVALID_REPLICA_ASSIGNMENT: not one list for each new partition, or anything but this broker in it.
    INVALID_TOPIC_EXCEPTION: the topic is internal.
    KAFKA_STORAGE_ERROR: the store failed, nothing is changed. REQUEST_TIMED_OUT: the broker is stopping.
Source:
    KIP-195; ReplicationControlManager.createPartitions in Apache Kafka 4.
"""

from __future__ import annotations

from collections import Counter

from flymq.broker.context import RequestContext, Services
from flymq.core.catalog import TopicError
from flymq.env import Token, completed, gather
from flymq.runtime.waiting import Ended, Pending
from flymq_protocol.api.k37_create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: CreatePartitionsRequest, services: Services) -> Pending:
    times = Counter(topic.name for topic in request.topics)
    asked = [topic for topic in request.topics if times[topic.name] == 1]
    twice = [name for name, count in times.items() if count > 1]

    def finish(results: list[object] | Ended) -> CreatePartitionsResponse:
        if isinstance(results, Ended):
            return refuse(request, ErrorCode.REQUEST_TIMED_OUT)
        answers = [_answer(name, TopicError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")) for name in twice]
        answers += [_answer(topic.name, result) for topic, result in zip(asked, results, strict=True)]
        return CreatePartitionsResponse(results=answers)

    return Pending(gather([_grow(topic, request.validate_only, services) for topic in asked]), finish)


def _grow(asked: CreatePartitionsTopic, validate_only: bool, services: Services) -> Token:
    """A token of a `TopicError` where it isn't done."""
    topic = services.topics.get(asked.name)
    if topic is None:
        return completed(TopicError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is no topic '{asked.name}'."))
    assignments = None if asked.assignments is None else [one.broker_ids for one in asked.assignments]
    planned = services.topics.plan_growth(services.topics.latest(topic), asked.count, assignments)
    if validate_only or isinstance(planned, TopicError):
        return completed(planned)
    return services.topics.change(planned)


def _answer(name: str, result: object) -> CreatePartitionsTopicResult:
    if isinstance(result, TopicError):
        return CreatePartitionsTopicResult(name, result.code, result.message)
    return CreatePartitionsTopicResult(name, 0, None)


def refuse(request: CreatePartitionsRequest, code: ErrorCode) -> CreatePartitionsResponse:
    """The same error for every topic."""
    return CreatePartitionsResponse(results=[CreatePartitionsTopicResult(topic.name, code) for topic in request.topics])
