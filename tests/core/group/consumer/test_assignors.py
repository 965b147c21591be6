"""What every assignment must be: whole, only what was asked for, balanced, and as like the last as that allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flymq.core.group.consumer.assignors import ASSIGNORS, Subscriber, Target, assign_range, assign_uniform

A, B, C = (bytes([number]) * 16 for number in (1, 2, 3))
COUNTS = st.fixed_dictionaries({A: st.integers(1, 12), B: st.integers(1, 12), C: st.integers(1, 12)})
TOPICS = st.sets(st.sampled_from([A, B, C]))


def members(*topics: set[bytes]) -> list[Subscriber]:
    return [Subscriber(f"m{number}", None, frozenset(wanted), frozenset()) for number, wanted in enumerate(topics)]


def with_current(subscribers: list[Subscriber], target: Target) -> list[Subscriber]:
    return [one._replace(current=target.get(one.member_id, frozenset())) for one in subscribers]


def check_whole(subscribers: list[Subscriber], counts: dict[bytes, int], target: Target) -> None:
    wanted = frozenset().union(*(one.topics for one in subscribers))
    given_out = [partition for mine in target.values() for partition in mine]
    assert sorted(given_out) == sorted((topic, n) for topic in wanted for n in range(counts[topic]))
    for one in subscribers:
        assert {topic for topic, _ in target[one.member_id]} <= one.topics


def check_balanced(subscribers: list[Subscriber], target: Target) -> None:
    for one in subscribers:
        for other in subscribers:
            if any(topic in other.topics for topic, _ in target[one.member_id]):
                assert len(target[one.member_id]) <= len(target[other.member_id]) + 1


@pytest.mark.parametrize("name", sorted(ASSIGNORS))
@given(topics=st.lists(TOPICS, min_size=1, max_size=8), counts=COUNTS)
def test_every_partition_goes_to_one_that_wants_it(
    name: str, topics: list[set[bytes]], counts: dict[bytes, int]
) -> None:
    subscribers = members(*topics)
    target = ASSIGNORS[name](subscribers, counts)
    check_whole(subscribers, counts, target)
    assert target == ASSIGNORS[name](list(reversed(subscribers)), counts)


@given(topics=st.lists(TOPICS, min_size=1, max_size=8), counts=COUNTS, more=st.lists(TOPICS, max_size=3),
       gone=st.integers(0, 3), grown=COUNTS)
def test_uniform_is_balanced_whatever_came_before(
    topics: list[set[bytes]], counts: dict[bytes, int], more: list[set[bytes]], gone: int, grown: dict[bytes, int]
) -> None:
    before = assign_uniform(members(*topics), counts)
    subscribers = with_current(members(*topics, *more), before)[gone:]
    if not subscribers:
        return
    target = assign_uniform(subscribers, grown)
    check_whole(subscribers, grown, target)
    check_balanced(subscribers, target)
    assert assign_uniform(with_current(subscribers, target), grown) == target, "it moves for nothing"


@given(size=st.integers(1, 8), counts=COUNTS, gone=st.integers(0, 8))
def test_uniform_takes_no_more_than_it_must(size: int, counts: dict[bytes, int], gone: int) -> None:
    """Same topics for all. A newcomer gets its share and the others keep theirs; where one leaves, nobody loses."""
    everything = {A, B, C}
    before = assign_uniform(members(*[everything] * size), counts)
    total = sum(counts.values())
    joined = with_current(members(*[everything] * (size + 1)), before)
    after = assign_uniform(joined, counts)
    moved = sum(len(before[member_id] - after[member_id]) for member_id in before)
    assert moved == len(after[f"m{size}"]) <= -(-total // (size + 1))
    if size > 1:
        rest = [one for number, one in enumerate(with_current(joined[:-1], before)) if number != gone % size]
        after = assign_uniform(rest, counts)
        assert all(one.current <= after[one.member_id] for one in rest)


def test_uniform_spreads_each_topic() -> None:
    target = assign_uniform(members({A, B}, {A, B}), {A: 2, B: 2})
    assert target == {"m0": {(A, 0), (B, 0)}, "m1": {(A, 1), (B, 1)}}


def test_range_gives_runs_and_the_same_numbers_of_like_topics() -> None:
    target = assign_range(members({A, B, C}, {A, B, C}), {A: 5, B: 5, C: 2})
    assert target["m0"] == {(A, 0), (A, 1), (A, 2), (B, 0), (B, 1), (B, 2), (C, 0)}
    assert target["m1"] == {(A, 3), (A, 4), (B, 3), (B, 4), (C, 1)}


@given(size=st.integers(1, 8), count=st.integers(1, 12))
def test_range_is_co_partitioned(size: int, count: int) -> None:
    for mine in assign_range(members(*[{A, B}] * size), {A: count, B: count}).values():
        assert {n for topic, n in mine if topic == A} == {n for topic, n in mine if topic == B}


def test_range_orders_static_members_first_by_instance() -> None:
    """So a restart under a new member id does not move them."""
    everybody = [
        Subscriber("z", "i1", frozenset({A}), frozenset()), Subscriber("a", "i2", frozenset({A}), frozenset()),
        Subscriber("0", None, frozenset({A}), frozenset()),
    ]
    assert assign_range(everybody, {A: 3}) == {"z": {(A, 0)}, "a": {(A, 1)}, "0": {(A, 2)}}
