"""Every error is one of ours with a hint, is the built-in that one would catch, and says the same to everybody."""

from __future__ import annotations

import inspect
import pickle
import re
import traceback
from pathlib import Path

import pytest

from flymq.client import errors
from flymq.client.errors import (
    AuthenticationError,
    AuthorizationError,
    BrokerUnavailableError,
    CommitFailedError,
    FlyMQError,
    InvalidArgumentError,
    MessageTooLargeError,
    NoCommittedOffsetError,
    RequestTimeoutError,
    TopicNotFoundError,
    UnsupportedError,
    did_you_mean,
    of_code,
    translate,
)
from flymq.client.kafka_python import kafka
from flymq_protocol.errors import ErrorCode

PAGE = Path(__file__).parent.parent.parent / "docs" / "client.md"


def ours() -> dict[str, type[FlyMQError]]:
    """All but the base."""
    kinds = (kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, FlyMQError))
    return {kind.__name__: kind for kind in kinds if kind is not FlyMQError}


def of_the_page() -> dict[str, str]:
    """Our errors -> the built-in, as the table of docs/client.md has it."""
    found = {}
    for names, built_in in re.findall(r"^\| ((?:`\w+Error`(?:, )?)+) \| `(\w+)` \|", PAGE.read_text(), re.MULTILINE):
        found.update(dict.fromkeys(re.findall(r"`(\w+)`", names), built_in))
    return found


# -- the classes ----------------------------------------------------------------------------------


def test_the_page_s_table_is_the_truth() -> None:
    import builtins

    table = of_the_page()
    assert set(table) == set(ours())
    for name, built_in in table.items():
        kind = ours()[name]
        assert kind.__bases__ == (FlyMQError, getattr(builtins, built_in)), name


@pytest.mark.parametrize("name", sorted(ours()))
def test_each_has_a_code_a_hint_and_a_meaning(name: str) -> None:
    kind = ours()[name]
    assert re.fullmatch(r"[A-Z0-9_]+", kind.code)
    for own in ("code", "hint", "__doc__"):
        assert own in vars(kind), f"{name}.{own} is another class's"
    error = kind("what and where")
    assert str(error) == "what and where"
    assert "\n" not in error.hint
    assert error.hint
    assert isinstance(error.retriable, bool)


def test_what_may_be_tried_again_says_so() -> None:
    assert [name for name, kind in ours().items() if kind.retriable] == [
        "BrokerUnavailableError", "RequestTimeoutError"
    ]  # fmt: skip


def test_a_traceback_shows_the_hint() -> None:
    shown = "".join(traceback.format_exception(TopicNotFoundError("there is no topic ordres", hint="look twice")))
    assert shown == "flymq.client.errors.TopicNotFoundError: there is no topic ordres\nlook twice\n"


@pytest.mark.parametrize("name", sorted(ours()))
def test_errors_go_from_process_to_process(name: str) -> None:
    there = ours()[name]("what", hint="do that", code="WHY", retriable=True)
    here = pickle.loads(pickle.dumps(there))
    assert type(here) is type(there)
    assert (str(here), here.hint, here.code, here.retriable) == ("what", "do that", "WHY", True)
    assert here.__notes__ == ["do that"]


def test_did_you_mean_takes_the_nearest_or_none() -> None:
    assert did_you_mean("ordres", ["bills", "orders", "odors"]) == "did you mean orders?"
    assert did_you_mean("ordres", ["bills"]) is None
    assert did_you_mean("ordres", []) is None


# -- what kafka-python raises ---------------------------------------------------------------------


def theirs() -> list[type[Exception]]:
    module = kafka().errors
    return sorted(
        (kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, module.KafkaError)),
        key=lambda kind: kind.__name__,
    )


@pytest.mark.parametrize("theirs", theirs(), ids=lambda kind: kind.__name__)
def test_everything_of_kafka_python_has_a_sensible_error(theirs: type[Exception]) -> None:
    error = theirs() if theirs.__name__ != "LogTruncationError" else theirs({}, {})
    found = translate(error, "produce to orders")
    assert str(found).startswith("produce to orders: ")
    assert len(str(found)) > len("produce to orders: ")
    assert found.hint
    number = getattr(error, "errno", None)
    if number is not None:
        assert found.code == ErrorCode(number).name
        assert found.code in str(found)
    if error.retriable and type(found) is FlyMQError:  # type: ignore[attr-defined]
        assert found.retriable


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("KafkaTimeoutError", RequestTimeoutError),
        ("RequestTimedOutError", RequestTimeoutError),
        ("KafkaConnectionError", BrokerUnavailableError),
        ("NodeNotReadyError", BrokerUnavailableError),
        ("MetadataEmptyBrokerList", BrokerUnavailableError),
        ("UnknownTopicOrPartitionError", TopicNotFoundError),
        ("MessageSizeTooLargeError", MessageTooLargeError),
        ("CommitFailedError", CommitFailedError),
        ("IllegalGenerationError", CommitFailedError),
        ("NoOffsetForPartitionError", NoCommittedOffsetError),
        ("KafkaConfigurationError", InvalidArgumentError),
        ("IllegalArgumentError", InvalidArgumentError),
        ("InvalidTimestampError", InvalidArgumentError),
        ("UnsupportedVersionError", UnsupportedError),
        ("IncompatibleBrokerVersion", UnsupportedError),
        ("UnsupportedCodecError", UnsupportedError),
        ("UnsupportedForMessageFormatError", UnsupportedError),
        ("UnsupportedCompressionTypeError", UnsupportedError),
        ("SaslAuthenticationFailedError", AuthenticationError),
        ("UnsupportedSaslMechanismError", AuthenticationError),
        ("TopicAuthorizationFailedError", AuthorizationError),
        ("DelegationTokenAuthorizationFailedError", AuthorizationError),
        ("AuthorizationError", AuthorizationError),
    ],
)
def test_theirs_becomes_ours(name: str, kind: type[FlyMQError]) -> None:
    assert type(translate(getattr(kafka().errors, name)(), "ask")) is kind


def test_what_is_ours_stays_as_it_is() -> None:
    error = TopicNotFoundError("there is no topic")
    assert translate(error, "ask") is error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionResetError("gone"), BrokerUnavailableError),
        (TimeoutError("late"), RequestTimeoutError),
        (RuntimeError("odd"), FlyMQError),
        (OSError(5, "Input/output error"), FlyMQError),
    ],
)
def test_built_ins_become_ours_too(error: Exception, kind: type[FlyMQError]) -> None:
    found = translate(error, "ask")
    assert type(found) is kind
    assert str(error.args[-1]) in str(found)
    assert not isinstance(found.code, int)


def test_the_broker_s_words_are_in_the_text_and_in_one_line() -> None:
    found = of_code(10, "produce to orders", detail="the batch has\n 2 MB")
    assert str(translate(kafka().errors.MessageSizeTooLargeError("the batch has\n 2 MB"), "produce to orders")) == (
        "produce to orders: MESSAGE_TOO_LARGE (the batch has 2 MB)"
    )
    assert type(found) is MessageTooLargeError
    assert str(of_code(3, "ask")) == "ask: UNKNOWN_TOPIC_OR_PARTITION"


def test_a_code_of_a_newer_broker_is_a_number() -> None:
    found = of_code(9999, "ask", retriable=True)
    assert (type(found), found.code, found.retriable) == (FlyMQError, "ERROR_9999", True)
