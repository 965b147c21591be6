"""Rows: what was written is what is read, and a restart keeps members."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flymq.core.group.events import CommittedOffset, GroupConfig
from flymq.core.group.group import ClassicGroup, Member, parse_subscription
from flymq.core.group.rows import (
    group_key,
    offset_key,
    offset_value,
    parse_offset_key,
    parse_offset_value,
    unescape,
)
from flymq_protocol.errors import ErrorCode

from .harness import OTHER_TOPIC, Script, subscription

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
TRICKY = st.text("%/0025\0ab", max_size=12) | TEXT


@given(TRICKY, st.binary(min_size=16, max_size=16), st.integers(0, 2**31 - 1))
def test_offset_keys_name_one_partition(group_id: str, topic_id: bytes, partition: int) -> None:
    key = offset_key(group_id, topic_id, partition)
    assert parse_offset_key(key) == (group_id, topic_id, partition)
    assert "\0" not in key


@given(TRICKY, TRICKY)
def test_group_keys_differ_where_groups_do(one: str, other: str) -> None:
    assert (group_key(one) == group_key(other)) == (one == other)
    assert unescape(group_key(one)[len("group/") :]) == one


TIME = st.integers(-1, 2**60)


@given(TEXT, st.integers(-1, 2**63 - 1), st.integers(-1, 2**31 - 1), TEXT, TIME, TIME)
def test_offset_values_round_trip(
    topic: str, offset: int, epoch: int, metadata: str, commit_ms: int, expire_ms: int
) -> None:
    row = CommittedOffset(offset, epoch, metadata, commit_ms, expire_ms)
    text = offset_value(topic, row)
    assert parse_offset_value(text) == (topic, row)
    assert json.loads(text)["metadata"] == metadata


def picture(group: ClassicGroup) -> dict[str, Any]:
    """All that a restart has to keep."""

    def member(m: Member) -> list[Any]:
        return [getattr(m, name) for name in Member.__slots__ if name not in ("join_token", "sync_token", "is_new")]

    kept = (
        "group_id", "state", "generation_id", "protocol_type", "protocol_name", "leader_id", "static_members",
        "protocol_counts", "subscribed_topics", "state_timestamp_ms",
    )
    return {
        **{name: getattr(group, name) for name in kept},
        "members": {key: member(m) for key, m in group.members.items()},
        "offsets": {key: (found.topic, found.partitions) for key, found in group.offsets.items()},
    }


def test_a_restart_gives_an_equal_machine() -> None:
    script = Script()
    token = script.join(instance_id="box", protocols=(("range", subscription("t", "u")), ("sticky", b"\xff\x00")))
    dynamic, _ = script.new_member(protocols=(("range", subscription("v")),))
    script.advance(6_000)
    box = script.joined(token).member_id
    script.sync(dynamic, 1)
    script.sync(box, 1, {box: b"\x00\xff", dynamic: b""})
    script.commit(5, box, 1, metadata="ünï\0 \"quoted\"", leader_epoch=2, partition=3)
    script.commit(6, dynamic, 1, topic_id=OTHER_TOPIC, topic="u")
    again = script.restarted()
    assert picture(again.group()) == picture(script.group())
    assert again.group().subscribed_topics == {"t", "u", "v"}
    assert again.describe() == script.describe()
    assert again.heartbeat(box, 1, "box") == ErrorCode.NONE
    assert again.answers[again.sync(dynamic, 1)].error == ErrorCode.NONE
    assert again.state == "Stable"


def test_an_empty_group_keeps_its_generation_and_since_when() -> None:
    script = Script()
    (member,) = script.stable(1)
    script.leave((member, None))
    again = script.restarted()
    assert picture(again.group()) == picture(script.group())
    assert again.group().generation_id == 2


def test_sessions_run_anew_from_a_restart() -> None:
    script = Script()
    leader, follower = script.stable()
    script.advance(9_000)
    again = script.restarted()
    again.advance(9_000)
    assert again.heartbeat(leader, 1) == ErrorCode.NONE
    again.advance(1_000)
    assert again.state == "PreparingRebalance"
    assert list(again.members()) == [leader]
    assert again.heartbeat(follower, 1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_rebalance_under_way_is_forgotten_and_its_generation_refused() -> None:
    script = Script()
    leader, follower = script.stable()
    script.join(leader)
    script.join(follower)
    assert script.group().generation_id == 2
    again = script.restarted()
    assert (again.state, again.group().generation_id) == ("Stable", 1)
    assert again.heartbeat(leader, 2) == ErrorCode.ILLEGAL_GENERATION


def test_a_group_above_its_size_limit_rejoins() -> None:
    script = Script()
    script.stable(3)
    again = Script(GroupConfig(group_max_size=2), script.rows)
    assert again.state == "PreparingRebalance"


def test_rows_apply_in_any_order() -> None:
    script = Script()
    (member,) = script.stable(1)
    script.commit(5, member, 1)
    again = Script()
    for key in sorted(script.rows, reverse=True):
        again.machine.apply(key, script.rows[key])
    assert picture(again.group()) == picture(script.group())


def test_subscriptions_are_read_as_version_0() -> None:
    assert parse_subscription(subscription("a", "topic.b")) == ["a", "topic.b"]
    assert parse_subscription(subscription()) == []
    assert parse_subscription(b"\0\3" + subscription("a")[2:] + b"later versions add here") == ["a"]


@given(st.binary(max_size=40))
def test_whatever_a_member_sends_as_metadata_is_read_or_not(metadata: bytes) -> None:
    topics = parse_subscription(metadata)
    assert topics is None or all(isinstance(topic, str) for topic in topics)
    assert parse_subscription(subscription("abc")[:-6]) is None
