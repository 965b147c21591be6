"""Messages as JSON Lines: the codec as a pure function, and `consume -O json | produce --input jsonl` with a broker."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flymq import EmbeddedBroker
from flymq.client.messages import Message
from flymq_cli.jsonl import BadLine, Record, as_line, parse_line
from tests.cli.kit import Cli, shell

BYTES = st.binary(max_size=30) | st.text(max_size=30).map(str.encode)
HEADERS = st.lists(st.tuples(st.text(max_size=10), BYTES), max_size=4)
# Everything that a line has to survive: no UTF-8, line ends, what Unicode takes for line ends, control characters.
AWKWARD = [
    b"", b"plain", b"\x00\xff\xfe", "größe ☕ 👍".encode(), b"two\nlines\r\n", "\u2028\u2029\x85\x0b".encode(),
    b'"quoted" \\ back', b"{}", b"null", b"\xed\xa0\x80", b"\x1b[31mred", b" spaces ",
]  # fmt: skip


# -- the codec ------------------------------------------------------------------------------------


@given(
    key=st.none() | BYTES, value=st.none() | BYTES, headers=HEADERS,
    partition=st.integers(0, 2**31 - 1), timestamp=st.integers(-1, 2**63 - 1),
)  # fmt: skip
def test_a_message_comes_back_as_it_was(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], partition: int, timestamp: int
) -> None:
    message: Message[Any, Any] = Message("orders", partition, 7, key, value, headers, timestamp)
    line = as_line(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse_line(line) == Record(value, key, headers, partition, None if timestamp < 0 else timestamp)


def test_a_line_is_readable_where_it_can_be() -> None:
    message: Message[Any, Any] = Message(
        "orders", 1, 7, "ada ☕".encode(), b"\xff", [("a", b"1"), ("a", b"\xfe"), ("n", None)], 5, 1  # type: ignore[list-item]
    )  # fmt: skip
    line = as_line(message)
    assert "ada ☕".encode() in line
    assert json.loads(line) == {
        "topic": "orders", "partition": 1, "offset": 7, "timestamp": 5, "timestamp_type": "LogAppendTime",
        "key": "ada ☕", "value_base64": "/w==", "headers": [["a", "1"], ["a", {"base64": "/g=="}], ["n", None]],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "record"),
    [
        ('{"value": "x"}', Record(b"x")),
        ('{"value": null, "key": "k"}', Record(None, b"k")),
        ('{"value_base64": ""}', Record(b"")),
        ('{"value": "x", "headers": {"a": "1"}}', Record(b"x", headers=[("a", b"1")])),
        ('{"value": "x", "headers": []}', Record(b"x", headers=[])),
        ('{"value": "x", "unknown": {}, "offset": 5, "topic": "t"}', Record(b"x")),
        ('\ufeff{"value": "x"}', Record(b"x")),
        (' {"value": "x", "partition": 0, "timestamp": 0} \r', Record(b"x", partition=0, timestamp=0)),
    ],
)
def test_what_is_left_out_is_none(line: str, record: Record) -> None:
    assert parse_line(line.encode()) == record


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("xx", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("5", "not a JSON object"),
        ("{}", "no value"),
        ('{"value": 5}', "value is not a string"),
        ('{"value": {"a": 1}}', "value is not a string"),
        ('{"value": "x", "key": true}', "key is not a string"),
        ('{"value": "\\ud800"}', "value is no text"),
        ('{"value_base64": "!"}', "value_base64 is not base64"),
        ('{"value_base64": 5}', "value_base64 is not base64"),
        ('{"value": "x", "partition": -1}', "partition is -1"),
        ('{"value": "x", "partition": "0"}', "partition is"),
        ('{"value": "x", "timestamp": 1.5}', "timestamp is 1.5"),
        ('{"value": "x", "timestamp": true}', "timestamp is true"),
        ('{"value": "x", "headers": "a"}', "headers are no list of pairs"),
        ('{"value": "x", "headers": [["a"]]}', "headers are no list of pairs"),
        ('{"value": "x", "headers": [[1, "a"]]}', "headers are no list of pairs"),
        ('{"value": "x", "headers": [["a", {}]]}', "header a is not base64"),
        ('{"value": "x", "headers": [["a", null]]}', "header a is null"),
    ],
)
def test_a_bad_line_says_why_and_what_to_write(line: str, why: str) -> None:
    with pytest.raises(BadLine, match=why) as caught:
        parse_line(line.encode())
    assert caught.value.hint


_NAMES = st.sampled_from(["value", "key", "headers", "partition", "timestamp", "value_base64"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner),
)


@given(_JSON)
def test_whatever_a_line_is_it_is_a_record_or_a_bad_line(found: Any) -> None:
    with contextlib.suppress(BadLine):
        assert isinstance(parse_line(json.dumps(found).encode()), Record)


# -- copying a topic ------------------------------------------------------------------------------


def everything() -> list[dict[str, Any]]:
    """Of each awkward thing one, as key, as value, as header; null keys and tombstones."""
    items: list[dict[str, Any]] = []
    for n, data in enumerate(AWKWARD):
        headers = [("h", data), ("h", b"again"), ("größe", data), ("", b"")]
        items.append({"value": data, "key": data, "headers": headers})
        items.append({"value": data, "key": None})
        items.append({"value": None, "key": f"gone {n}"})
    return [item | {"partition": n % 3, "timestamp": 1_767_258_000_000 + n} for n, item in enumerate(items)]


def as_sent(message: Message[Any, Any]) -> tuple[Any, ...]:
    return message.partition, message.key, message.value, list(message.headers), message.timestamp


def test_consume_into_produce_copies_a_topic(
    broker: EmbeddedBroker, topic: str, fresh_name: Callable[..., str]
) -> None:
    copy = fresh_name("copy")
    broker.create_topics({topic: 3, copy: 3})
    broker.seed(topic, everything())
    line = f"flymq-cli consume {topic} -O json | flymq-cli produce {copy} --input jsonl"
    done = shell(f"set -o pipefail; {line}", broker.bootstrap_servers)
    assert done.code == 0, done.err
    assert done.stdout == b""
    assert done.err == f"flymq-cli: {len(everything())} messages to {copy}\n"
    assert list(map(as_sent, broker.records(copy))) == list(map(as_sent, broker.records(topic)))


def test_a_target_with_fewer_partitions_gets_everything_and_a_warning(
    cli: Cli, broker: EmbeddedBroker, topic: str, fresh_name: Callable[..., str]
) -> None:
    copy = fresh_name("copy")
    broker.create_topics({topic: 3, copy: 2})
    broker.seed(topic, [{"value": f"{n % 3}:{n}", "key": str(n), "partition": n % 3} for n in range(30)])
    lines = cli.ok("consume", topic, "-O", "json").stdout
    done = cli.ok("produce", copy, "--input", "jsonl", stdin=lines)
    assert f"flymq-cli: {copy} has no partition 2" in done.err
    assert done.err.count("no partition") == 1
    assert sorted(m.value or b"" for m in broker.records(copy)) == sorted(m.value or b"" for m in broker.records(topic))
    for partition in (0, 1):  # what has a partition to be in is there, in its order
        there = [m.value or b"" for m in broker.records(copy, partition=partition)]
        assert [value for value in there if not value.startswith(b"2:")] == [
            b"%d:%d" % (partition, n) for n in range(partition, 30, 3)
        ]


def test_ignoring_partitions_lets_the_keys_decide(
    cli: Cli, broker: EmbeddedBroker, topic: str, fresh_name: Callable[..., str]
) -> None:
    copy = fresh_name("copy")
    broker.create_topics({topic: 3, copy: 3})
    broker.seed(topic, [{"value": str(n), "key": "same", "partition": n % 3} for n in range(9)])
    lines = cli.ok("consume", topic, "-O", "json").stdout
    cli.ok("produce", copy, "--input", "jsonl", "--ignore-partitions", stdin=lines)
    assert len({message.partition for message in broker.records(copy)}) == 1


def test_options_fill_in_what_a_line_leaves_out(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    lines = b'{"value": "a"}\n\n{"value": "b", "key": "own", "headers": [["h", "1"]]}\n'
    cli.ok("produce", topic, "--input", "jsonl", "-k", "common", "-H", "all=x", "-p", "0", stdin=lines)
    assert [(m.key, m.value, list(m.headers)) for m in broker.records(topic)] == [
        (b"common", b"a", [("all", b"x")]),
        (b"own", b"b", [("h", b"1"), ("all", b"x")]),
    ]


def test_a_bad_line_is_named_and_those_before_it_are_sent(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    said = cli.fails(7, "produce", topic, "--input", "jsonl", stdin=b'{"value": "a"}\n{"value": "b"}\nxx\n')
    assert "line 3 of stdin: not JSON" in said
    assert f"2 messages before that arrived in {topic}" in said
    assert [message.value for message in broker.records(topic)] == [b"a", b"b"]


def test_a_bad_first_line_is_a_usage_error(cli: Cli, topic: str) -> None:
    assert "line 1 of stdin: value is not a string" in cli.fails(
        2, "produce", topic, "--input", "jsonl", stdin=b'{"value": 5}\n'
    )
