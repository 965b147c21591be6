"""Brings the outcome of one transaction to its targets: markers to partitions, then offsets to group shards.

Source: TransactionMarkerChannelManager in Apache Kafka 4.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flymq.core.log.plan import AppendError
from flymq.core.txn.events import EndTargets
from flymq.core.txn.transaction import Partition
from flymq.env import Env, Token, completed, gather
from flymq.runtime.groups import Groups
from flymq.runtime.partitions import Partitions
from flymq.runtime.waiting import Ended
from flymq_protocol.errors import ErrorCode

_log = logging.getLogger("flymq.transactions")

_COORDINATOR_EPOCH = 0  # one node: nobody else ever was the coordinator
_RETRY_MS = 100
_RETRY_MS_MAX = 10_000

_DONE = (None, Ended.DELETED)
_OVERTAKEN = (ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.TRANSACTION_COORDINATOR_FENCED)


def _is_overtaken(result: object) -> bool:
    """Whether an administrator's marker (WriteTxnMarkers) was there first, of a higher epoch: ours can't be written."""
    return isinstance(result, AppendError) and result.code in _OVERTAKEN


class TargetWriter:
    """Calls `on_ended()` once every target has the outcome durably; tries again as long as one has not."""

    def __init__(
        self, env: Env, partitions: Partitions, groups: Groups, order: EndTargets, on_ended: Callable[[], None]
    ) -> None:
        self._env = env
        self._partitions = partitions
        self._groups = groups
        self._order = order
        self._on_ended = on_ended
        self._delay_ms = _RETRY_MS
        self._stopped = False

    def start(self) -> None:
        self._env.reached("txn.prepared")
        self._end(self._order.partitions, self._end_partition, self._partitions_ended)

    def stop(self) -> None:
        """Do nothing more: somebody else goes on with it."""
        self._stopped = True

    def _partitions_ended(self) -> None:
        self._env.reached("txn.marked")
        self._end(self._order.groups, self._end_group, self._groups_ended)

    def _groups_ended(self) -> None:
        self._env.reached("txn.groups_ended")
        self._on_ended()

    # -- one kind of targets ----------------------------------------------------------------------

    def _end(self, targets: list[Any], end: Callable[[Any], Token], then: Callable[[], None]) -> None:
        if self._stopped:
            return

        def tried(results: list[Any]) -> None:
            if self._stopped or Ended.SHUTDOWN in results:
                return
            failed = [(target, result) for target, result in zip(targets, results, strict=True) if result not in _DONE]
            if not failed:
                then()
                return
            _log.warning("%r: not ended yet, will try again: %s", self._order, failed[0][1])
            self._env.call_in(self._delay_ms, self._end, [target for target, _ in failed], end, then)
            self._delay_ms = min(2 * self._delay_ms, _RETRY_MS_MAX)

        gather([end(target) for target in targets]).then(tried)

    def _end_partition(self, target: Partition) -> Token:
        partition = self._partitions.find_by_id(*target)
        if partition is None:  # deleted
            return completed()
        if partition.offline is not None:
            return completed(partition.offline)
        order = self._order
        if order.producer.id not in partition.open_transactions():
            # Nothing to end, or the marker was written by a try before this one: then it must be durable, too.
            return partition.when_durable(partition.log.end - 1) or completed()
        token = partition.write_marker(
            order.producer.id, order.producer.epoch, order.commit, _COORDINATOR_EPOCH, self._env.now_ms()
        )
        self._env.reached("txn.marker_written")
        return token if not _is_overtaken(token.result) else completed()

    def _end_group(self, shard: int) -> Token:
        return self._groups.end_transaction(shard, self._order.producer.id, self._order.commit)
