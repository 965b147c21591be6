"""Transactions of this broker: an id names a shard, as it names a partition of __transaction_state in Kafka.

The machines decide (`flymq.core.txn`); here their outcomes reach partitions and groups.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

from flymq.core.effects import Order
from flymq.core.txn.ending import leftover
from flymq.core.txn.events import (
    NEEDS_PRODUCER_ID,
    AddTargets,
    Completed,
    EndTargets,
    EndTxn,
    InitProducerId,
    ListTransactions,
    Open,
    Settle,
    TargetsEnded,
    TxnConfig,
    VerifyTargets,
)
from flymq.core.txn.shard import TxnShard
from flymq.core.txn.transaction import Producer, State, Transaction
from flymq.env import Env, Token, completed, gather
from flymq.runtime.groups import Groups, Settings, failure, shard_of
from flymq.runtime.partitions import Partition, Partitions
from flymq.runtime.producer_ids import ProducerIds
from flymq.runtime.shards import ShardRunner
from flymq.runtime.txn_targets import TargetWriter
from flymq.runtime.waiting import Ended
from flymq.storage.api import EngineError, ShardStore
from flymq_protocol.errors import ErrorCode

PREFIX = "transactions/"

_KNOWN_MAX = 10_000

_NONE = ErrorCode.NONE  # an enum's members take longer to look up
_ONGOING = State.ONGOING

_PRODUCE_ADDS_FROM = 12
_PRODUCE_KNOWS_ABORTABLE_FROM = 11
_OFFSETS_ADD_FROM = 5
_OFFSETS_KNOW_ABORTABLE_FROM = 4

# What a group's client is told instead: it knows how to go on with these.
_TO_OFFSETS = {
    ErrorCode.PRODUCER_FENCED: ErrorCode.INVALID_PRODUCER_EPOCH,
    ErrorCode.CONCURRENT_TRANSACTIONS: ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
}


def txn_config(settings: Settings) -> TxnConfig:
    return TxnConfig(
        transaction_max_timeout_ms=settings.int("transaction.max.timeout.ms"),
        transactional_id_expiration_ms=settings.int("transactional.id.expiration.ms"),
        transaction_remove_expired_transaction_cleanup_interval_ms=settings.int(
            "transaction.remove.expired.transaction.cleanup.interval.ms"
        ),
    )


class Transactions:
    """Call `load` after partitions and groups are loaded, and before the first request.

    Tokens complete with what the event's docstring in `flymq.core.txn.events` says, or with an `ErrorCode` or a
    member of `Ended`: `flymq.runtime.groups.failure` tells.
    """

    def __init__(
        self,
        env: Env,
        shards: ShardStore,
        partitions: Partitions,
        groups: Groups,
        producer_ids: ProducerIds,
        config: Settings,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._env = env
        self._store = shards
        self._partitions = partitions
        self._groups = groups
        self._producer_ids = producer_ids
        self._on_fatal = on_fatal
        self._config = txn_config(config)
        self._count = config.int("transaction.state.log.num.partitions")
        self._runners: dict[int, ShardRunner] = {}
        self._machines: dict[int, TxnShard] = {}
        self._known: dict[str, Transaction] = {}  # those that `verify` has looked up
        self._ending: dict[str, TargetWriter] = {}
        self._closed = False

    # -- load -------------------------------------------------------------------------------------

    def load(self) -> None:
        """Load every shard that has rows, then end or go on with whatever logs and groups have open.

        Raises `EngineError` where `transaction.state.log.num.partitions` is not what the rows were written with.
        """
        for name in self._store.shards():
            if name.startswith(PREFIX):
                self._load_shard(int(name[len(PREFIX) :]))
        found = self._open()
        owned: set[int] = set()
        for number, runner in self._runners.items():
            for txn in self._machines[number].transactions.values():
                owned.update((txn.producer.id, txn.last.id))
            runner.tell(Settle(found))
        for one in found:
            if one.producer.id not in owned:
                self._carry_out(0, leftover(one, commit=False))

    def _load_shard(self, number: int) -> None:
        self._runner_of(number)
        for transactional_id in self._machines[number].transactions:
            if shard_of(transactional_id, self._count) != number:
                raise EngineError(
                    f"transactional id {transactional_id!r} was stored with another "
                    f"transaction.state.log.num.partitions than {self._count}",
                    "set transaction.state.log.num.partitions back to what it was when this data folder was made",
                )

    def _runner_of(self, number: int) -> ShardRunner:
        runner = self._runners.get(number)
        if runner is None:
            runner = self._runners[number] = ShardRunner(
                self._env,
                self._store,
                f"{PREFIX}{number}",
                partial(self._make, number),
                self._on_fatal,
                on_order=partial(self._carry_out, number),
                on_reloaded=partial(self._settle, number),
            )
            runner.load()
        return runner

    def _make(self, number: int) -> TxnShard:
        self._known.clear()
        machine = self._machines[number] = TxnShard(self._config)
        return machine

    def _settle(self, number: int) -> None:
        self._runners[number].tell(Settle(self._open()))

    def _open(self) -> list[Open]:
        found = [
            Open(Producer(producer_id, epoch), (partition.ref.topic_id, partition.index))
            for partition in self._partitions
            for producer_id, (epoch, _) in partition.open_transactions().items()
        ]
        for number, producers in self._groups.open_transactions().items():
            found.extend(Open(Producer(producer_id, epoch), None, number) for producer_id, epoch in producers.items())
        return found

    # -- requests ---------------------------------------------------------------------------------

    def request(self, event: Any) -> Token:
        """Feed an event that names one transactional id."""
        if self._closed:
            return completed(Ended.SHUTDOWN)
        return self._runner_of(shard_of(event.transactional_id, self._count)).request(event)

    def request_producer(self, event: InitProducerId | EndTxn) -> Token:
        """As `request`; gives the machine a new producer id where it asks for one."""
        whole = Token()

        def given(producer_id: object) -> None:
            if isinstance(producer_id, int):
                event.new_producer_id = producer_id
                self.request(event).then(whole.complete)
            else:
                whole.complete(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)

        def answered(result: object) -> None:
            if result is NEEDS_PRODUCER_ID:
                self._producer_ids.next().then(given)
            else:
                whole.complete(result)

        self.request(event).then(answered)
        return whole

    def list_transactions(self, make: Callable[[], ListTransactions]) -> Token:
        """Of all shards, each asked by an event of its own: a list of `Listed`, or an `ErrorCode`."""
        whole = Token()

        def listed(results: list[Any]) -> None:
            error = next(filter(None, map(failure, results)), None)
            whole.complete(list(chain.from_iterable(results)) if error is None else error)

        gather([runner.request(make()) for runner in self._runners.values()]).then(listed)
        return whole

    def verify(
        self,
        transactional_id: str,
        producer_id: int,
        producer_epoch: int,
        partition: Partition,
        api_version: int,
    ) -> ErrorCode:
        """Whether that producer may write to `partition` in its transaction; the coordinator's error if not.

        From v12 on the partition is added where it is missing: applied in memory at once and written behind, so
        that no produce overtakes another. A crash loses nothing: the partition's log tells what is open there.

        Errors: INVALID_TXN_STATE (not in the transaction, before v11), TRANSACTION_ABORTABLE (the same, v11),
        PRODUCER_FENCED, INVALID_PRODUCER_ID_MAPPING, CONCURRENT_TRANSACTIONS, COORDINATOR_NOT_AVAILABLE.
        """
        target = (partition.ref.topic_id, partition.index)
        txn = self._known.get(transactional_id)
        if (
            txn is not None
            and txn.producer == (producer_id, producer_epoch)
            and target in txn.partitions
            and txn.state is _ONGOING
        ):
            return _NONE
        producer = Producer(producer_id, producer_epoch)
        error = self._verify(transactional_id, producer, [target], [], api_version >= _PRODUCE_ADDS_FROM)
        if error == ErrorCode.TRANSACTION_ABORTABLE and api_version < _PRODUCE_KNOWS_ABORTABLE_FROM:
            return ErrorCode.INVALID_TXN_STATE
        return error

    def add(
        self, transactional_id: str, producer_id: int, producer_epoch: int, partitions: list[Partition]
    ) -> None:
        """Put all of them into the transaction in one go, if that producer may: `verify` tells, and is asked later."""
        targets = [(partition.ref.topic_id, partition.index) for partition in partitions]
        self._verify(transactional_id, Producer(producer_id, producer_epoch), targets, [], add=True)

    def verify_offsets(
        self, transactional_id: str, producer_id: int, producer_epoch: int, group_id: str, api_version: int
    ) -> ErrorCode:
        """Whether that producer may put the group's offsets into its transaction; what to answer if not.

        As `verify`; the group is added from v5 on, and TRANSACTION_ABORTABLE is known from v4 on.
        COORDINATOR_LOAD_IN_PROGRESS: try again.
        """
        producer = Producer(producer_id, producer_epoch)
        shard = self._groups.shard_of(group_id)
        error = self._verify(transactional_id, producer, [], [shard], api_version >= _OFFSETS_ADD_FROM)
        if error == ErrorCode.TRANSACTION_ABORTABLE and api_version < _OFFSETS_KNOW_ABORTABLE_FROM:
            return ErrorCode.INVALID_TXN_STATE
        return _TO_OFFSETS.get(error, error)

    def _verify(
        self,
        transactional_id: str,
        producer: Producer,
        partitions: list[tuple[bytes, int]],
        groups: list[int],
        add: bool,
    ) -> ErrorCode:
        event = (
            AddTargets(transactional_id, producer, partitions, groups, written_behind=True)
            if add
            else VerifyTargets(transactional_id, producer, partitions, groups)
        )
        result = self.request(event).result  # these are answered at once
        error = failure(result) or ErrorCode.NONE
        if not error:
            if len(self._known) >= _KNOWN_MAX:  # ids come and go
                self._known.clear()
            machine = self._machines[shard_of(transactional_id, self._count)]
            self._known[transactional_id] = machine.transactions[transactional_id]
        return error

    # -- outcomes ---------------------------------------------------------------------------------

    def _carry_out(self, number: int, order: Order) -> None:
        if isinstance(order, Completed):
            self._env.reached("txn.completed")
            return
        assert isinstance(order, EndTargets)
        writer = TargetWriter(self._env, self._partitions, self._groups, order, partial(self._ended, number, order))
        if order.transactional_id is not None:
            before = self._ending.get(order.transactional_id)
            if before is not None:
                before.stop()
            self._ending[order.transactional_id] = writer
        writer.start()

    def _ended(self, number: int, order: EndTargets) -> None:
        if order.transactional_id is not None:
            del self._ending[order.transactional_id]
            self._runners[number].tell(TargetsEnded(order.transactional_id, order.producer))

    def close(self) -> None:
        """Complete what waits with `Ended.SHUTDOWN`; further requests too. The next start goes on with what is open."""
        self._closed = True
        for writer in self._ending.values():
            writer.stop()
        for runner in self._runners.values():
            runner.close()
