"""What AlterConfigs and IncrementalAlterConfigs have in common: a resource's settings are checked, kept, and in force.

Source: ConfigAdminManager, ControllerConfigurationValidator in Apache Kafka 4.3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flymq.broker import loggers
from flymq.broker.context import Services
from flymq.core.catalog import Topic, TopicError, why_illegal
from flymq.core.settings import (
    TOPIC_SETTINGS,
    Change,
    Operation,
    ResourceError,
    ResourceType,
    SettingError,
    altered,
)
from flymq.env import Token, completed, gather
from flymq.runtime.settings import TABLES
from flymq.storage.api import StorageError
from flymq_protocol.errors import ErrorCode
from flymq_protocol.types import ZERO_UUID


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of one resource. `replaces`: settings that are not named revert."""

    type: int
    name: str
    changes: list[Change]
    replaces: bool


def alter(resources: Sequence[Asked], services: Services, *, validate_only: bool) -> Token:
    """A token of a list with None, or the `ResourceError`, for each of `resources`: changed whole or not at all.

    Errors: INVALID_REQUEST (a resource or setting twice, a null, an unknown type or operation, another broker, a
    broker setting that can't be or can't change at run time), INVALID_CONFIG, UNKNOWN_TOPIC_OR_PARTITION,
    INVALID_TOPIC_EXCEPTION, KAFKA_STORAGE_ERROR.
    """
    times = Counter((one.type, one.name) for one in resources)
    outcomes = []
    for one in resources:
        try:
            if times[one.type, one.name] > 1:
                raise _invalid("Each resource must appear at most once.")
            _check_form(one)
            outcomes.append(_alter_one(one, services, validate_only))
        except ResourceError as error:
            outcomes.append(completed(error))
    return gather(outcomes)


def _invalid(message: str) -> ResourceError:
    return ResourceError(ErrorCode.INVALID_REQUEST, message)


def _check_form(asked: Asked) -> None:
    if asked.type not in list(ResourceType) or (asked.type == ResourceType.LOGGER and asked.replaces):
        raise _invalid(f"Unknown resource type {asked.type}")
    nulls = [name for name, operation, value in asked.changes if value is None and operation != Operation.DELETE]
    if nulls:
        raise _invalid(f"Null value not supported for : {','.join(nulls)}")
    if len({name for name, _, _ in asked.changes}) != len(asked.changes):
        raise _invalid("Error due to duplicate config keys")
    for name, operation, _ in asked.changes:
        if operation not in list(Operation):
            raise _invalid(f"Unknown operation {operation} for {name}")


_WITHOUT_DEFAULTS = {
    ResourceType.GROUP: "Default group resources are not allowed.",
    ResourceType.CLIENT_METRICS: "Subscription name can't be empty",
}


def _alter_one(asked: Asked, services: Services, validate_only: bool) -> Token:
    """A token of None or a `ResourceError`; raises `ResourceError`. In Kafka's order, as `_alter_topic`."""
    if asked.type == ResourceType.TOPIC:
        return _alter_topic(asked, services, validate_only)
    if asked.type == ResourceType.LOGGER:
        return _alter_loggers(asked, services, validate_only)
    type_ = ResourceType(asked.type)
    if type_ == ResourceType.BROKER and asked.name:
        check_node(asked.name, services)
    try:
        own = {} if asked.replaces else services.settings.latest(type_, asked.name)
        changed = altered(TABLES[type_], own, asked.changes)
        if not asked.name and type_ in _WITHOUT_DEFAULTS:
            raise _invalid(_WITHOUT_DEFAULTS[type_])
        planned = services.settings.check(type_, changed)
    except SettingError as error:
        raise ResourceError(_code(type_, error), error.whole) from None
    if validate_only:
        return completed()
    return _answered(services.settings.change(type_, asked.name, planned))


def check_node(name: str, services: Services) -> None:
    """Raises `ResourceError`, INVALID_REQUEST, for any but this broker's id."""
    if not name.removeprefix("-").isdecimal():
        raise _invalid(f"Node id must be an integer, but it is: {name}")
    if name != str(services.placement.node_id):
        raise _invalid(f"Unexpected broker id, expected {services.placement.node_id}, but received {name}")


def _code(type_: ResourceType, error: SettingError) -> ErrorCode:
    unknown = error.name not in TABLES[type_]
    if type_ == ResourceType.BROKER or (type_ == ResourceType.CLIENT_METRICS and unknown):
        return ErrorCode.INVALID_REQUEST
    return ErrorCode.INVALID_CONFIG


def _alter_loggers(asked: Asked, services: Services, validate_only: bool) -> Token:
    check_node(asked.name, services)
    loggers.check(asked.changes)
    if not validate_only:
        loggers.change(asked.changes)
    return completed()


def _alter_topic(asked: Asked, services: Services, validate_only: bool) -> Token:
    """In Kafka's order: what is asked for, the name, the values, and only then whether there is such a topic."""
    topic = services.topics.get(asked.name)
    latest = Topic(asked.name, ZERO_UUID, 1, {}) if topic is None else services.topics.latest(topic)
    try:
        overrides = altered(TOPIC_SETTINGS, {} if asked.replaces else latest.overrides, asked.changes)
    except SettingError as error:
        raise ResourceError(ErrorCode.INVALID_CONFIG, error.whole) from None
    if not asked.name:
        raise _invalid("Default topic resources are not allowed.")
    _check_name(asked.name)
    planned = services.topics.plan_settings(latest, overrides)
    if isinstance(planned, TopicError):
        raise ResourceError(planned.code, planned.message)
    if topic is None:
        raise _missing(asked.name)
    return completed() if validate_only else _answered(services.topics.change(planned))


def find_topic(name: str, services: Services) -> Topic:
    """Raises `ResourceError`: INVALID_TOPIC_EXCEPTION, UNKNOWN_TOPIC_OR_PARTITION."""
    topic = services.topics.get(name)
    if topic is not None:
        return topic
    _check_name(name)
    raise _missing(name)


def _check_name(name: str) -> None:
    illegal = why_illegal(name)
    if illegal is not None:
        raise ResourceError(ErrorCode.INVALID_TOPIC_EXCEPTION, illegal)


def _missing(name: str) -> ResourceError:
    return ResourceError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist.")


def _answered(change: Token) -> Token:
    """A token of None or a `ResourceError`, for what `Topics.change` and `Settings.change` complete with."""
    answered = Token()

    def done(result: object) -> None:
        if isinstance(result, TopicError):
            answered.complete(ResourceError(result.code, result.message))
        elif isinstance(result, StorageError):
            answered.complete(ResourceError(ErrorCode.KAFKA_STORAGE_ERROR, str(result)))
        else:
            answered.complete()

    change.then(done)
    return answered
