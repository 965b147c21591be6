"""Transactions: list, describe; producers of a partition; find what hangs, and abort it."""

from __future__ import annotations

import builtins
import contextlib
import time
from collections.abc import Iterable
from typing import Any

from flymq.client.admin.base import Admin
from flymq.client.admin.types import (
    HangingTransaction,
    ProducerInfo,
    TransactionDescription,
    TransactionListing,
)
from flymq.client.arguments import check_topic, one_of, seconds
from flymq.client.errors import (
    InvalidArgumentError,
    PartitionNotFoundError,
    TopicNotFoundError,
    TransactionalIdNotFoundError,
    TransactionError,
    did_you_mean,
)
from flymq.client.kafka_python import describe_cluster, topic_partition
from flymq.client.messages import Partition

STATES = (
    "Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence",
)  # fmt: skip
_ENDED = ("Empty", "CompleteCommit", "CompleteAbort", "Dead")
# As kafka-transactions.sh has it: the most that a broker lets a transaction take, by default.
_HANGS_AFTER_S = 15 * 60.0


class TransactionAdmin(Admin):
    """`client.transactions`."""

    def list(
        self,
        *,
        states: Iterable[str] = (),
        producer_ids: Iterable[int] = (),
        older_than: float | None = None,
        pattern: str | None = None,
    ) -> builtins.list[TransactionListing]:
        """What each transactional_id is at, by name, with all brokers. `states`: only these, such as "Ongoing".
        `older_than`: only transactions that take longer than so many seconds. `pattern`: only ids that match it, as a
        regular expression of the broker's, in whole.

        Raises `InvalidArgumentError`, `UnsupportedError` where the broker is too old for a filter.
        """
        words = {state: state for state in STATES}
        wanted = [one_of("state", state, words) for state in ([states] if isinstance(states, str) else states)]
        filters = {
            "state_filters": wanted,
            "producer_id_filters": builtins.list(producer_ids),
            "duration_filter_ms": None if older_than is None else int(seconds("older_than", older_than) * 1000),
            "transactional_id_pattern": pattern,
        }
        # All of them: kafka-python knows those that it has met.
        brokers = [
            broker["broker_id"]
            for broker in self._ask("describe the cluster", describe_cluster)["brokers"]
        ]
        try:
            found = self._ask("list transactions", lambda admin: admin.list_transactions(brokers, **filters))
        except InvalidArgumentError as error:
            if error.code != "INVALID_REGULAR_EXPRESSION":
                raise
            hint = "write it as RE2 has it, such as orders-.*"
            raise InvalidArgumentError(f"{pattern} is no pattern", hint=hint, code=error.code) from error.__cause__
        rows = [
            TransactionListing(row.transactional_id, row.producer_id, row.state.value)
            for of_broker in found.values()
            for row in of_broker
            # A broker knows when a transaction began also where it has ended.
            if older_than is None or row.state.value not in _ENDED
        ]
        return sorted(rows, key=lambda row: row.transactional_id)

    def describe(self, transactional_id: str) -> TransactionDescription:
        """Its state and, while a transaction is open, since when and with which partitions.

        Raises `TransactionalIdNotFoundError`.
        """
        if not isinstance(transactional_id, str) or not transactional_id:
            raise InvalidArgumentError(f"{transactional_id!r} is no transactional_id", hint="give a str")
        what = f"describe transaction {transactional_id}"
        try:
            found = self._ask(what, lambda admin: admin.describe_transactions([transactional_id]))[transactional_id]
        except TransactionalIdNotFoundError:
            known = [row.transactional_id for row in self.list()]
            raise TransactionalIdNotFoundError(
                f"there is no transactional id {transactional_id}", hint=did_you_mean(transactional_id, known)
            ) from None
        ended = found.state.value in _ENDED or found.transaction_start_time_ms < 0
        started = None if ended else found.transaction_start_time_ms
        return TransactionDescription(
            transactional_id=transactional_id,
            state=found.state.value,
            producer_id=found.producer_id,
            producer_epoch=found.producer_epoch,
            coordinator_id=found.coordinator_id,
            timeout=found.transaction_timeout_ms / 1000,
            started=started,
            duration=None if started is None else _since(started),
            partitions=sorted(Partition(*partition) for partition in found.topic_partitions),
        )

    def producers(self, topic: str, partition: int) -> builtins.list[ProducerInfo]:
        """Who has written to a partition, idempotently or in transactions, and is remembered; by producer id.

        Raises `TopicNotFoundError`, `PartitionNotFoundError`.
        """
        (found,) = self._metadata([check_topic(topic)], f"describe topic {topic}")
        count = len(found["partitions"])
        if not isinstance(partition, int) or not 0 <= partition < count:
            raise PartitionNotFoundError(
                f"{topic} has no partition {partition!r}: it has {count}", hint=f"give 0 to {count - 1}"
            )
        at = Partition(topic, partition)
        return self._producers(f"describe the producers of {at}", [at])[at]

    def _producers(
        self, what: str, partitions: Iterable[Partition]
    ) -> dict[Partition, builtins.list[ProducerInfo]]:
        wanted = [topic_partition(partition) for partition in partitions]
        found = self._ask(what, lambda admin: admin.describe_producers(wanted))
        return {
            Partition(*key): sorted(map(_producer, state.active_producers), key=lambda one: one.producer_id)
            for key, state in found.items()
        }

    def find_hanging(
        self, *topics: str, older_than: float = _HANGS_AFTER_S
    ) -> builtins.list[HangingTransaction]:
        """Transactions that a partition takes for open, for longer than `older_than` seconds, and no coordinator knows
        of: nobody will end them, and who reads committed messages waits at them for ever. Of all topics, or of these.

        What `kafka-transactions.sh find-hanging` does. Raises `TopicNotFoundError`.
        """
        seconds("older_than", older_than)
        what = "find hanging transactions"
        names = [check_topic(topic) for topic in topics] or None
        found: builtins.list[HangingTransaction] = []
        for topic in self._metadata(names, what):
            led = [Partition(topic["name"], row["partition_index"]) for row in topic["partitions"]
                   if row["leader_id"] >= 0]  # fmt: skip
            with contextlib.suppress(TopicNotFoundError):  # deleted since; or the broker's own, and not a log
                found += [
                    open_one
                    for at, producers in self._producers(what, led).items()
                    for open_one in _open(at, producers)
                    if open_one.idle > older_than
                ]
        known = self._open_partitions({one.producer_id for one in found})
        return sorted(one for one in found if (one.producer_id, Partition(one.topic, one.partition)) not in known)

    def _open_partitions(self, producer_ids: Iterable[int]) -> set[tuple[int, Partition]]:
        """Those of transactions that a coordinator will end."""
        wanted = sorted(producer_ids)
        listed = self.list(producer_ids=wanted) if wanted else []
        known: set[tuple[int, Partition]] = set()
        for row in listed:
            with contextlib.suppress(TransactionalIdNotFoundError):  # forgotten since
                found = self.describe(row.transactional_id)
                known.update((found.producer_id, partition) for partition in found.partitions)
        return known

    def abort(self, topic: str, partition: int, *, open_since: int) -> None:
        """End a transaction that hangs: the one that a partition takes for open since this offset (see `producers`).

        For what `find_hanging` finds only: it goes around the coordinator, which knows nothing of it. Any other one is
        ended by a new producer with its transactional_id.
        Raises `TransactionError` where none is open since then; `PartitionNotFoundError`.
        """
        from kafka.admin import AbortTransactionSpec

        found = self.producers(topic, partition)
        hanging = [one for one in found if one.open_since == open_since]
        if not hanging:
            since = sorted(one.open_since for one in found if one.open_since is not None)
            raise TransactionError(
                f"{topic}-{partition} has no transaction that is open since offset {open_since}",
                hint=f"there are some since {', '.join(map(str, since))}" if since else "none is open there",
            )
        (one,) = hanging
        marker = AbortTransactionSpec(
            topic_partition(Partition(topic, partition)),
            one.producer_id,
            one.producer_epoch,
            max(0, one.coordinator_epoch),
        )
        what = f"abort the transaction of {topic}-{partition} that is open since offset {open_since}"
        self._ask(what, lambda admin: admin.abort_transaction(marker))


def _producer(row: Any) -> ProducerInfo:
    """Of kafka-python's."""
    start = row.current_transaction_start_offset
    return ProducerInfo(
        producer_id=row.producer_id,
        producer_epoch=row.producer_epoch,
        coordinator_epoch=row.coordinator_epoch,
        last_sequence=row.last_sequence,
        last_timestamp=row.last_timestamp,
        open_since=start if start >= 0 else None,
    )


def _open(at: Partition, producers: Iterable[ProducerInfo]) -> builtins.list[HangingTransaction]:
    """The transactions of a partition that are not ended, whether they hang or not."""
    return [
        HangingTransaction(
            *at, one.producer_id, one.producer_epoch, one.open_since, one.last_timestamp, _since(one.last_timestamp)
        )
        for one in producers
        if one.open_since is not None
    ]


def _since(ms: int) -> float:
    """Seconds from then to now."""
    return max(0.0, time.time() - ms / 1000)
