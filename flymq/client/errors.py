"""Errors that the client raises: what and where in one line, what to do about it in another.

Every one is a `FlyMQError`, and also the built-in that a Python programmer would catch for it:
`except LookupError` takes a `TopicNotFoundError`. The hint is a note (PEP 678), so a traceback shows it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from flymq_protocol.errors import ErrorCode


class FlyMQError(Exception):
    """What went wrong (`str(error)`, one line), and:

    `code`: Kafka's name of the error, such as UNKNOWN_TOPIC_OR_PARTITION, also where this side noticed first;
    one of FlyMQ's own (BROKER_UNAVAILABLE, NOT_KAFKA ...) where Kafka has none.
    `retriable`: the same call may well succeed later. `hint`: what to do, one line.
    """

    code = "UNKNOWN_SERVER_ERROR"
    retriable = False
    hint = "run it again with debug logging of `kafka` to see what the broker said"

    def __init__(
        self, message: str, *, hint: str | None = None, code: str | None = None, retriable: bool | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        if hint is not None:
            self.hint = hint
        if code is not None:
            self.code = code
        if retriable is not None:
            self.retriable = retriable
        self.add_note(self.hint)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:  # keyword-only arguments: the default would lose them
        return _restore, (type(self), self.message, self.hint, self.code, self.retriable)


def _restore(kind: type[FlyMQError], message: str, hint: str, code: str, retriable: bool) -> FlyMQError:
    return kind(message, hint=hint, code=code, retriable=retriable)


class BrokerUnavailableError(FlyMQError, ConnectionError):
    """No broker at the address: bad name, nothing listens, no answer, not Kafka. The message says which."""

    code = "BROKER_UNAVAILABLE"
    retriable = True
    hint = "start a broker with `flymq serve`, or give the address of one that runs"


class RequestTimeoutError(FlyMQError, TimeoutError):
    """A broker is there but did not answer, or not do it, in time. A produce may still have happened."""

    code = "REQUEST_TIMED_OUT"
    retriable = True
    hint = "try again, or raise the client's timeout"


class TopicNotFoundError(FlyMQError, LookupError):
    """The topic does not exist, and was not to be created."""

    code = "UNKNOWN_TOPIC_OR_PARTITION"
    hint = "list what there is: client.list_topics()"


class PartitionNotFoundError(FlyMQError, LookupError):
    """The topic exists, and has no such partition."""

    code = "UNKNOWN_TOPIC_OR_PARTITION"
    hint = "partitions are numbered from 0"


class GroupNotFoundError(FlyMQError, LookupError):
    """No group of this name has members or committed offsets."""

    code = "GROUP_ID_NOT_FOUND"
    hint = "list what there is: client.groups.list()"


class NoCommittedOffsetError(FlyMQError, LookupError):
    """auto_offset_reset="committed", and the group has committed nothing for a partition."""

    code = "NO_COMMITTED_OFFSET"
    hint = 'start with auto_offset_reset="earliest" or "latest" once'


class TransactionalIdNotFoundError(FlyMQError, LookupError):
    """No producer of this transactional_id has been there, or not for so long that it is forgotten."""

    code = "TRANSACTIONAL_ID_NOT_FOUND"
    hint = "list what there is: client.transactions.list()"


class TopicExistsError(FlyMQError, ValueError):
    """A topic of this name is already there."""

    code = "TOPIC_ALREADY_EXISTS"
    hint = "use it, or delete it first"


class InvalidTopicError(FlyMQError, ValueError):
    """A name that no topic can have."""

    code = "INVALID_TOPIC_EXCEPTION"
    hint = "1 to 249 characters of a-z A-Z 0-9 . _ -"


class InvalidArgumentError(FlyMQError, ValueError):
    """An argument or setting that is wrong wherever the broker is."""

    code = "INVALID_CONFIG"
    hint = "see the method's docstring"


class OffsetOutOfRangeError(FlyMQError, IndexError):
    """The log has no such offset."""

    code = "OFFSET_OUT_OF_RANGE"
    hint = "offsets run from the log start offset to the end offset"


class GroupActiveError(FlyMQError, RuntimeError):
    """The group has members, and what was asked needs it empty. `members` says who."""

    code = "NON_EMPTY_GROUP"
    hint = "stop its members first"
    members: Sequence[Any] = ()


class CommitFailedError(FlyMQError, RuntimeError):
    """The partitions belong to another member by now: its messages will be, or were, read again."""

    code = "ILLEGAL_GENERATION"
    hint = "process faster, or raise max_poll_interval_ms; processing has to bear repetition"


class TransactionError(FlyMQError, RuntimeError):
    """Not in this state of the producer: a send outside of a transaction, or a transaction in another."""

    code = "INVALID_TXN_STATE"
    hint = "send within `with producer.transaction():`"


class ProducerFencedError(FlyMQError, RuntimeError):
    """Another producer has this transactional_id now, or the broker ended a transaction that took too long.

    Nothing of the open transaction is seen by who reads committed messages. The producer is of no use any more.
    """

    code = "PRODUCER_FENCED"
    hint = (
        "a newer producer has this transactional_id, or the transaction took longer than its transaction_timeout; "
        "let one producer at a time have the id, and make a new one"
    )


class SerializationError(FlyMQError, TypeError):
    """A key or value that is neither bytes nor str, and no serializer that makes it so."""

    code = "SERIALIZATION"
    hint = "give bytes or str, or a value_serializer, such as lambda value: json.dumps(value).encode()"


class DeserializationError(FlyMQError, ValueError):
    """The deserializer could not read a message; topic, partition and offset are in the text."""

    code = "DESERIALIZATION"
    hint = "read it as bytes with client.fetch(), or seek past it"


class MessageTooLargeError(FlyMQError, ValueError):
    """Larger than the client sends or the topic takes."""

    code = "MESSAGE_TOO_LARGE"
    hint = "raise max_request_size here, max.message.bytes on the topic, or send less"


class InvalidRecordError(FlyMQError, ValueError):
    """The topic does not take such a message: most often one without a key, where it is compacted."""

    code = "INVALID_RECORD"
    hint = "a topic with cleanup.policy=compact keeps the last message of each key: give every message one"


class AuthenticationError(FlyMQError, PermissionError):
    """The broker did not accept who we say we are."""

    code = "SASL_AUTHENTICATION_FAILED"
    hint = "check the user name, the password and the mechanism"


class AuthorizationError(FlyMQError, PermissionError):
    """The broker knows us, and does not let us."""

    code = "CLUSTER_AUTHORIZATION_FAILED"
    hint = "ask for the right, or use another user"


class UnsupportedError(FlyMQError, NotImplementedError):
    """The broker is too old, or doesn't have that yet."""

    code = "UNSUPPORTED_VERSION"
    hint = "`flymq-cli cluster api-versions` lists what the broker can do"


class ClosedError(FlyMQError, RuntimeError):
    """The client, consumer or producer was closed."""

    code = "CLOSED"
    hint = "make a new one"


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """ "did you mean X?" for the nearest of `known`, or None."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else None


# Kafka's codes, and kafka-python's own exceptions by class name.
_BY_CODE: dict[str, type[FlyMQError]] = {
    "UNKNOWN_TOPIC_OR_PARTITION": TopicNotFoundError,
    "UNKNOWN_TOPIC_ID": TopicNotFoundError,
    "TOPIC_ALREADY_EXISTS": TopicExistsError,
    "INVALID_TOPIC_EXCEPTION": InvalidTopicError,
    "OFFSET_OUT_OF_RANGE": OffsetOutOfRangeError,
    "REQUEST_TIMED_OUT": RequestTimeoutError,
    "MESSAGE_TOO_LARGE": MessageTooLargeError,
    "RECORD_LIST_TOO_LARGE": MessageTooLargeError,
    "INVALID_RECORD": InvalidRecordError,
    "GROUP_ID_NOT_FOUND": GroupNotFoundError,
    "NON_EMPTY_GROUP": GroupActiveError,
    "ILLEGAL_GENERATION": CommitFailedError,
    "UNKNOWN_MEMBER_ID": CommitFailedError,
    "REBALANCE_IN_PROGRESS": CommitFailedError,
    "FENCED_INSTANCE_ID": CommitFailedError,
    "INVALID_TXN_STATE": TransactionError,
    "PRODUCER_FENCED": ProducerFencedError,
    "INVALID_PRODUCER_EPOCH": ProducerFencedError,
    "TRANSACTIONAL_ID_NOT_FOUND": TransactionalIdNotFoundError,
    "UNSUPPORTED_VERSION": UnsupportedError,
    "UNSUPPORTED_FOR_MESSAGE_FORMAT": UnsupportedError,
    "UNSUPPORTED_COMPRESSION_TYPE": UnsupportedError,
    "SASL_AUTHENTICATION_FAILED": AuthenticationError,
    "UNSUPPORTED_SASL_MECHANISM": AuthenticationError,
    "ILLEGAL_SASL_STATE": AuthenticationError,
    "TOPIC_AUTHORIZATION_FAILED": AuthorizationError,
    "GROUP_AUTHORIZATION_FAILED": AuthorizationError,
    "CLUSTER_AUTHORIZATION_FAILED": AuthorizationError,
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": AuthorizationError,
    "DELEGATION_TOKEN_AUTHORIZATION_FAILED": AuthorizationError,
    "INVALID_PARTITIONS": InvalidArgumentError,
    "INVALID_REPLICATION_FACTOR": InvalidArgumentError,
    "INVALID_CONFIG": InvalidArgumentError,
    "INVALID_REQUEST": InvalidArgumentError,
    "INVALID_GROUP_ID": InvalidArgumentError,
    "INVALID_SESSION_TIMEOUT": InvalidArgumentError,
    "INVALID_TIMESTAMP": InvalidArgumentError,
    "INVALID_REGULAR_EXPRESSION": InvalidArgumentError,
    "INVALID_TRANSACTION_TIMEOUT": InvalidArgumentError,
}
_BY_CLASS: dict[str, type[FlyMQError]] = {
    "KafkaTimeoutError": RequestTimeoutError,
    "KafkaConnectionError": BrokerUnavailableError,
    "NodeNotReadyError": BrokerUnavailableError,
    "NoBrokersAvailable": BrokerUnavailableError,
    "MetadataEmptyBrokerList": BrokerUnavailableError,
    "UnknownBrokerIdError": BrokerUnavailableError,
    "AuthorizationError": AuthorizationError,
    "CommitFailedError": CommitFailedError,
    "TransactionAbortedError": TransactionError,
    "NoOffsetForPartitionError": NoCommittedOffsetError,
    "KafkaConfigurationError": InvalidArgumentError,
    "IllegalArgumentError": InvalidArgumentError,
    "UnsupportedCodecError": UnsupportedError,
    "IncompatibleBrokerVersion": UnsupportedError,
    "UnsupportedVersionError": UnsupportedError,
}


def translate(error: BaseException, what: str) -> FlyMQError:
    """The `FlyMQError` for whatever kafka-python raised while doing `what` ("produce to orders").

    One that is ours already comes back as it is. Raise the outcome `from error`.
    """
    if isinstance(error, FlyMQError):
        return error
    number = getattr(error, "errno", None)
    retriable = bool(getattr(error, "retriable", False))
    if isinstance(number, int) and not isinstance(error, OSError):
        return of_code(number, what, detail=_detail(error), retriable=retriable)
    kind = _BY_CLASS.get(type(error).__name__)
    text = f"{what}: {_detail(error) or type(error).__name__}"
    if kind is not None:
        return kind(text)
    if isinstance(error, ConnectionError):
        return BrokerUnavailableError(text)
    if isinstance(error, TimeoutError):
        return RequestTimeoutError(text)
    return FlyMQError(text, code=type(error).__name__, retriable=retriable)


def of_code(number: int, what: str, *, detail: str = "", retriable: bool = False) -> FlyMQError:
    """The error for one of Kafka's codes, `detail` being the broker's own words, if any."""
    try:
        code = ErrorCode(number).name
    except ValueError:
        code = f"ERROR_{number}"  # of a broker newer than we are
    message = f"{what}: {code}" + (f" ({detail})" if detail and detail != code else "")
    return _BY_CODE.get(code, FlyMQError)(message, code=code, retriable=retriable)


def _detail(error: BaseException) -> str:
    words = " ".join(str(argument) for argument in error.args if argument is not None)
    return " ".join(words.split())
