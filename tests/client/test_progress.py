"""`Progress` and `Buffer`: bookkeeping of a consumer, without a broker."""

from __future__ import annotations

from typing import Any

from flymq.client.buffer import Buffer
from flymq.client.messages import Message, Partition
from flymq.client.progress import Progress

A, B = Partition("a", 0), Partition("b", 1)


def test_what_is_finished_and_not_committed_is_to_be_committed() -> None:
    progress = Progress()
    assert progress.uncommitted() == {}
    progress.finish(A, 3)
    progress.finish(B, 1)
    assert progress.uncommitted() == {A: 3, B: 1}
    assert progress.uncommitted([B, Partition("c", 0)]) == {B: 1}
    progress.committed({A: 3})
    assert progress.uncommitted() == {B: 1}
    progress.finish(A, 4)
    assert progress.uncommitted() == {A: 4, B: 1}
    assert progress.finished() == {A: 4, B: 1}


def test_a_commit_that_is_behind_does_not_hide_what_came_after_it() -> None:
    progress = Progress()
    progress.finish(A, 5)
    progress.committed({A: 3})
    assert progress.uncommitted() == {A: 5}


def test_going_back_is_to_be_committed_too() -> None:
    progress = Progress()
    progress.finish(A, 5)
    progress.committed({A: 5})
    progress.finish(A, 2)
    assert progress.uncommitted() == {A: 2}


def test_nothing_is_known_of_what_is_somebody_elses() -> None:
    progress = Progress()
    progress.finish(A, 5)
    progress.forget([A, B])
    assert progress.uncommitted() == {}
    progress.committed({A: 5})  # the answer came late
    progress.finish(A, 5)
    assert progress.uncommitted() == {A: 5}


def test_what_is_set_aside_is_not_committed_and_only_what_stays_comes_back() -> None:
    progress = Progress()
    progress.finish(A, 5)
    progress.finish(B, 7)
    progress.committed({A: 4})
    progress.set_aside([A, B])
    assert progress.uncommitted() == {}
    progress.take_back([A])
    assert progress.uncommitted() == {A: 5}
    progress.take_back([B])
    assert progress.uncommitted() == {A: 5}
    progress.set_aside([A])
    progress.forget([A])
    progress.take_back([A])
    assert progress.uncommitted() == {}


def messages(partition: Partition, *offsets: int) -> list[Message[Any, Any]]:
    return [Message(*partition, offset, None, None) for offset in offsets]


def taken(buffer: Buffer) -> list[tuple[str, int]]:
    found = []
    while buffer.ready():
        found.append((buffer.head().topic, buffer.head().offset))
        buffer.advance()
    return found


def test_messages_come_in_the_order_they_were_added() -> None:
    buffer = Buffer()
    assert not buffer.ready()
    buffer.add(A, messages(A, 1, 2))
    buffer.add(B, messages(B, 7))
    buffer.add(A, messages(A, 3))
    assert not buffer.has_head()  # of the partition that came last, which is none
    assert buffer.ready()
    assert buffer.has_head()
    assert taken(buffer) == [("a", 1), ("a", 2), ("b", 7), ("a", 3)]
    assert not buffer.has_head()


def test_the_offset_of_a_partition_is_that_of_its_next_message() -> None:
    buffer = Buffer()
    buffer.add(A, messages(A, 1, 2))
    buffer.add(B, messages(B, 7))
    buffer.add(A, messages(A, 3))
    assert (buffer.offset(A), buffer.offset(B)) == (1, 7)
    buffer.ready()
    buffer.advance()
    assert buffer.offset(A) == 2
    buffer.advance()
    assert buffer.offset(A) == 3
    assert buffer.offset(Partition("c", 0)) is None
    taken(buffer)
    assert (buffer.offset(A), buffer.offset(B)) == (None, None)


def test_a_partition_can_be_dropped() -> None:
    for started in (False, True):
        buffer = Buffer()
        buffer.add(A, messages(A, 1, 2))
        buffer.add(B, messages(B, 7))
        buffer.add(A, messages(A, 3))
        if started:
            buffer.ready()
            buffer.advance()
        buffer.drop(A)
        assert buffer.offset(A) is None
        assert not buffer.has_head()
        assert taken(buffer) == [("b", 7)]


def test_what_was_finished_and_went_to_somebody_else_uncommitted_is_lost() -> None:
    progress = Progress()
    progress.finish(A, 3)
    progress.finish(B, 1)
    progress.committed({B: 1})
    progress.set_aside([A, B])
    assert progress.take_lost() == []  # they may come back
    progress.take_back([])
    assert progress.take_lost() == [A]
    assert progress.take_lost() == []


def test_what_comes_back_is_not_lost() -> None:
    progress = Progress()
    progress.finish(A, 3)
    progress.set_aside([A])
    progress.take_back([A])
    assert progress.take_lost() == []
    assert progress.uncommitted() == {A: 3}


def test_what_is_forgotten_is_lost_where_it_was_not_committed() -> None:
    progress = Progress()
    progress.finish(A, 3)
    progress.finish(B, 1)
    progress.committed({B: 1})
    progress.forget([A, B])
    assert progress.take_lost() == [A]
