"""One transactional id: its producer, and the transaction that it has open. No effects: the steps decide.

Source: TransactionMetadata, TransactionState in Apache Kafka 4; KIP-98, KIP-360, KIP-890.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

EPOCH_MAX = 32767
"""Only to fence with: a producer is never told of it."""

Partition = tuple[bytes, int]
"""(topic id, index)"""


class State(Enum):
    """Kafka's names: clients see the values."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"
    COMPLETE_COMMIT = "CompleteCommit"
    COMPLETE_ABORT = "CompleteAbort"
    DEAD = "Dead"


IDLE = (State.EMPTY, State.COMPLETE_COMMIT, State.COMPLETE_ABORT)
PREPARED = (State.PREPARE_COMMIT, State.PREPARE_ABORT)

# (from, to) -> why. Whatever is not here is a bug of ours. An id that is not in the shard is Dead.
TRANSITIONS = {
    (State.ONGOING, State.PREPARE_COMMIT): "EndTxn",
    (State.ONGOING, State.PREPARE_ABORT): "EndTxn, its time is up, or its producer starts again",
    (State.PREPARE_COMMIT, State.COMPLETE_COMMIT): "every target has ended",
    (State.PREPARE_ABORT, State.COMPLETE_ABORT): "every target has ended",
    **{(idle, State.EMPTY): "InitProducerId" for idle in IDLE},
    **{(idle, State.ONGOING): "the first partition or group is added" for idle in IDLE},
    **{(idle, State.PREPARE_ABORT): "EndTxn v5 with nothing open: only the epoch rises" for idle in IDLE},
    **{(idle, State.DEAD): "nobody has used it for transactional.id.expiration.ms" for idle in IDLE},
}


class Producer(NamedTuple):
    """A producer id and its epoch."""

    id: int
    epoch: int


NOBODY = Producer(-1, -1)


class Transaction:
    """Dicts serve as ordered sets. `groups` are numbers of group shards.

    `last` is the producer as its client knew it before the newest bump that was its own doing: a retry names
    it. NOBODY where somebody else bumped, to fence. `start_ms` is -1 where nothing was ever added.
    """

    __slots__ = ("groups", "last", "next_producer_id", "partitions", "producer", "start_ms", "state", "timeout_ms",
                 "timer_key", "transaction_version", "transactional_id", "update_ms")

    def __init__(self, transactional_id: str, producer: Producer, timeout_ms: int, now_ms: int) -> None:
        self.transactional_id = transactional_id
        self.producer = producer
        self.last = NOBODY
        self.next_producer_id = -1  # while an end is prepared that exhausts the epochs: who comes after it
        self.timeout_ms = timeout_ms
        self.state = State.EMPTY
        self.start_ms = -1
        self.update_ms = now_ms
        self.transaction_version = 0  # as the newest EndTxn had it: 2 from v5 on
        self.partitions: dict[Partition, None] = {}
        self.groups: dict[int, None] = {}
        self.timer_key = ("timeout", transactional_id)

    def become(self, state: State, now_ms: int) -> None:
        assert (self.state, state) in TRANSITIONS, f"{self.transactional_id}: {self.state} to {state}"
        self.state = state
        self.update_ms = now_ms

    @property
    def is_exhausted(self) -> bool:
        """No epoch is left that a client may have; one is, to fence it."""
        return self.producer.epoch >= EPOCH_MAX - 1

    def bump(self, last: Producer) -> None:
        """The next epoch. `last`: who may ask again for it."""
        assert self.producer.epoch < EPOCH_MAX
        self.last = last
        self.producer = Producer(self.producer.id, self.producer.epoch + 1)

    def begin(self, now_ms: int) -> None:
        self.become(State.ONGOING, now_ms)
        self.start_ms = now_ms

    def has(self, partitions: list[Partition], groups: list[int]) -> bool:
        return all(one in self.partitions for one in partitions) and all(one in self.groups for one in groups)

    def add(self, partitions: list[Partition], groups: list[int]) -> None:
        self.partitions.update(dict.fromkeys(partitions))
        self.groups.update(dict.fromkeys(groups))
