"""What can happen to transactions, what a request gets back, and what the runtime is told to do.

Every request event carries `token`, a number that the runtime fills in; its `Reply` names it. A result is
what the event's docstring says, or an `ErrorCode` where the request failed. PRODUCER_FENCED is for handlers
to translate where a version does not know it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from flymq.core.effects import Order
from flymq.core.txn.transaction import NOBODY, Partition, Producer, State


class TxnConfig(NamedTuple):
    """The broker's settings that transactions obey; names are Kafka's."""

    transaction_max_timeout_ms: int = 900_000
    transactional_id_expiration_ms: int = 7 * 24 * 3600 * 1000
    transaction_remove_expired_transaction_cleanup_interval_ms: int = 3_600_000


NEEDS_PRODUCER_ID = object()
"""Reply: feed the event again, with `new_producer_id` set to one that nobody had."""


class InitProducerId:
    """Reply: `Producer`, or NEEDS_PRODUCER_ID. `claimed`: who the client says it is (v3+), else NOBODY."""

    __slots__ = ("claimed", "new_producer_id", "timeout_ms", "token", "transactional_id")

    def __init__(self, transactional_id: str, timeout_ms: int, claimed: Producer = NOBODY) -> None:
        self.token = 0
        self.transactional_id = transactional_id
        self.timeout_ms = timeout_ms
        self.claimed = claimed
        self.new_producer_id = -1


class AddTargets:
    """Reply: NONE, once it is durable; at once where `written_behind`."""

    __slots__ = ("groups", "partitions", "producer", "token", "transactional_id", "written_behind")

    def __init__(
        self,
        transactional_id: str,
        producer: Producer,
        partitions: list[Partition],
        groups: list[int],
        written_behind: bool = False,
    ) -> None:
        self.token = 0
        self.transactional_id = transactional_id
        self.producer = producer
        self.partitions = partitions
        self.groups = groups
        self.written_behind = written_behind


class VerifyTargets:
    """Reply, at once: NONE where all are in the transaction, else TRANSACTION_ABORTABLE."""

    __slots__ = ("groups", "partitions", "producer", "token", "transactional_id")

    def __init__(
        self, transactional_id: str, producer: Producer, partitions: list[Partition], groups: list[int]
    ) -> None:
        self.token = 0
        self.transactional_id = transactional_id
        self.producer = producer
        self.partitions = partitions
        self.groups = groups


class EndTxn:
    """Reply: the `Producer` to go on with, or NEEDS_PRODUCER_ID. `bumps`: from v5 on, each end raises the epoch."""

    __slots__ = ("bumps", "commit", "new_producer_id", "producer", "token", "transactional_id")

    def __init__(self, transactional_id: str, producer: Producer, commit: bool, bumps: bool) -> None:
        self.token = 0
        self.transactional_id = transactional_id
        self.producer = producer
        self.commit = commit
        self.bumps = bumps
        self.new_producer_id = -1


class TargetsEnded:
    """An `EndTargets` is done. No reply."""

    __slots__ = ("producer", "transactional_id")

    def __init__(self, transactional_id: str, producer: Producer) -> None:
        self.transactional_id = transactional_id
        self.producer = producer


class Open(NamedTuple):
    """A transaction open in a partition's log, or in a group shard."""

    producer: Producer
    partition: Partition | None
    group: int = -1


class Settle:
    """After a load: what logs and groups have open; that of other shards is passed over. No reply."""

    __slots__ = ("found",)

    def __init__(self, found: list[Open]) -> None:
        self.found = found


class Description(NamedTuple):
    state: State
    timeout_ms: int
    start_ms: int
    producer: Producer
    partitions: list[Partition]
    groups: list[int]


class DescribeTransaction:
    """Reply: `Description`, or TRANSACTIONAL_ID_NOT_FOUND."""

    __slots__ = ("token", "transactional_id")

    def __init__(self, transactional_id: str) -> None:
        self.token = 0
        self.transactional_id = transactional_id


class Listed(NamedTuple):
    transactional_id: str
    producer_id: int
    state: State


class ListTransactions:
    """Reply: a list of `Listed`. Empty filters pass all; `duration_ms` -1 too; `matches` is asked for each id."""

    __slots__ = ("duration_ms", "matches", "producer_ids", "states", "token")

    def __init__(
        self,
        states: frozenset[State] = frozenset(),
        producer_ids: frozenset[int] = frozenset(),
        duration_ms: int = -1,
        matches: Callable[[str], object] | None = None,
    ) -> None:
        self.token = 0
        self.states = states
        self.producer_ids = producer_ids
        self.duration_ms = duration_ms
        self.matches = matches


class EndTargets(Order):
    """Write the outcome to every target, then feed `TargetsEnded`; a new one for that id replaces it.

    `transactional_id` None: nobody waits for it, a leftover is cleared up.
    """

    __slots__ = ("commit", "groups", "partitions", "producer", "transactional_id")

    def __init__(
        self,
        transactional_id: str | None,
        producer: Producer,
        commit: bool,
        partitions: list[Partition],
        groups: list[int],
    ) -> None:
        self.transactional_id = transactional_id
        self.producer = producer
        self.commit = commit
        self.partitions = partitions
        self.groups = groups

    def __repr__(self) -> str:
        end = "commit" if self.commit else "abort"
        return f"EndTargets({self.transactional_id!r}, {self.producer}, {end}, {self.partitions}, {self.groups})"


class Completed(Order):
    """The outcome of a transaction is durable everywhere. Nothing to do: tests stop the broker here."""

    __slots__ = ()
