"""CreateTopics: v2-7.

Creates topics, each on its own: one that fails does not hold back the others.

Versions:
    v4: -1 partitions or replicas stand for the broker's default (KIP-464).
    v5: answers partitions, replicas and all settings in force (KIP-525). v7: the topic's id (KIP-516).
Behaviour:
    * Answers once the topic is durable and can be written to. timeout_ms is not used: it is one write.
    * validate_only: same checks and answer, nothing kept, and no id.
    * Replicas: one, on this broker.
Errors:
    INVALID_REQUEST: a name twice in the request; assignments with a count or factor; `__cluster_metadata`.
    INVALID_TOPIC_EXCEPTION: the name is malformed, or equals another's but for `.` and `_`.
    TOPIC_ALREADY_EXISTS: also while it is being created.
    INVALID_CONFIG, INVALID_REPLICATION_FACTOR, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT.
    POLICY_VIOLATION: more than 10,000 partitions.
    KAFKA_STORAGE_ERROR: the store failed. REQUEST_TIMED_OUT: the broker is stopping.
Source:
    KIP-464, KIP-525; ControllerApis.createTopics, ReplicationControlManager.createTopic in Apache Kafka 4.
"""

from __future__ import annotations

from collections import Counter

from flymq.broker.context import RequestContext, Services
from flymq.core.catalog import NewTopic, Topic, TopicError
from flymq.core.settings import describe_topic
from flymq.env import Token, completed, gather
from flymq.runtime.waiting import Ended, Pending
from flymq_protocol.api.k19_create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: CreateTopicsRequest, services: Services) -> Pending:
    times = Counter(topic.name for topic in request.topics)
    asked = [topic for topic in request.topics if times[topic.name] == 1]
    twice = [name for name, count in times.items() if count > 1]

    def finish(results: list[Topic | TopicError] | Ended) -> CreateTopicsResponse:
        if isinstance(results, Ended):
            return refuse(request, ErrorCode.REQUEST_TIMED_OUT)
        answers = [_failed(name, TopicError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")) for name in twice]
        for topic, result in zip(asked, results, strict=True):
            if isinstance(result, TopicError):
                answers.append(_failed(topic.name, result))
            else:
                answers.append(_created(result, services))
        return CreateTopicsResponse(topics=answers)

    return Pending(gather([_create(topic, request.validate_only, services) for topic in asked]), finish)


def _create(topic: CreatableTopic, validate_only: bool, services: Services) -> Token:
    new = NewTopic(
        topic.name,
        topic.num_partitions,
        topic.replication_factor,
        [(assignment.partition_index, assignment.broker_ids) for assignment in topic.assignments],
        {config.name: config.value for config in topic.configs},
    )
    return completed(services.topics.check(new)) if validate_only else services.topics.create(new)


def _created(topic: Topic, services: Services) -> CreatableTopicResult:
    return CreatableTopicResult(
        name=topic.name,
        topic_id=topic.id,
        error_message=None,
        num_partitions=topic.partition_count,
        replication_factor=1,
        configs=[
            CreatableTopicConfigs(
                name=described.setting.name,
                value=described.value,
                read_only=False,
                config_source=described.source,
                is_sensitive=described.setting.sensitive,
            )
            for described in describe_topic(services.config, topic.overrides)
        ],
    )


def _failed(name: str, error: TopicError) -> CreatableTopicResult:
    return CreatableTopicResult(name=name, error_code=error.code, error_message=error.message)


def refuse(request: CreateTopicsRequest, code: ErrorCode) -> CreateTopicsResponse:
    """The same error for every topic."""
    return CreateTopicsResponse(
        topics=[CreatableTopicResult(name=topic.name, error_code=code) for topic in request.topics]
    )
