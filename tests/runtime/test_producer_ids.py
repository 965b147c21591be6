"""Producer ids: in order, once, also over restarts and a store that fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypothesis import given
from hypothesis import strategies as st

from flymq.env import Token
from flymq.runtime.producer_ids import BLOCK_SIZE, ProducerIds
from flymq.storage.api import ShardStore, StorageError, Unavailable


class OneRow(ShardStore):
    """Keeps what was written last; `late` writes wait for `complete`."""

    def __init__(self) -> None:
        self.row: list[tuple[str, str]] = []
        self.late: list[tuple[list[tuple[str, str]], Token]] = []
        self.is_late = False

    def load(self, shard: str, epoch: int = 0) -> Iterator[tuple[str, str]]:
        return iter(self.row)

    def shards(self) -> list[str]:
        return ["producer_ids"] if self.row else []

    def write(self, shard: str, puts: Iterable[tuple[str, str]], deletes: Iterable[str] = (), epoch: int = 0) -> Token:
        token = Token()
        self.late.append((list(puts), token))
        if not self.is_late:
            self.complete()
        return token

    def complete(self, failure: StorageError | None = None) -> None:
        puts, token = self.late.pop()
        if failure is None:
            self.row = puts
        token.complete(failure)


def test_ids_count_up_from_zero_over_blocks() -> None:
    ids = ProducerIds(OneRow())
    assert [ids.next().result for _ in range(BLOCK_SIZE + 2)] == list(range(BLOCK_SIZE + 2))


@given(st.lists(st.integers(0, 2 * BLOCK_SIZE), max_size=5))
def test_no_id_comes_twice_over_restarts(lives: list[int]) -> None:
    store = OneRow()
    given_ids: list[int] = []
    for count in lives:
        ids = ProducerIds(store)
        given_ids.extend(ids.next().result for _ in range(count))
    assert len(set(given_ids)) == len(given_ids)
    assert sorted(given_ids) == given_ids


def test_an_id_waits_until_its_block_is_durable() -> None:
    store = OneRow()
    store.is_late = True
    ids = ProducerIds(store)
    waiting = [ids.next(), ids.next()]
    assert not any(token.done for token in waiting)
    assert len(store.late) == 1  # one write serves both
    store.complete()
    assert [token.result for token in waiting] == [0, 1]
    assert store.row == [("next_block", "1000")]


def test_a_failed_write_is_told_and_the_next_one_tried() -> None:
    store = OneRow()
    store.is_late = True
    ids = ProducerIds(store)
    first, failure = ids.next(), Unavailable("no disk")
    store.complete(failure)
    assert first.result is failure
    second = ids.next()
    store.complete()
    assert second.result == 0
