"""Partitions at work: the pure log rules, a store that keeps the bytes, and whoever waits for either."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from struct import Struct
from typing import TYPE_CHECKING

from flymq.core.log.partition_log import TRANSACTION_V1, PartitionLog
from flymq.core.log.plan import AppendError, AppendPlan, Duplicate
from flymq.core.log.producers import BadSnapshot
from flymq.env import Env, Token, completed, gather
from flymq.runtime.waiting import Ended
from flymq.storage.api import Corrupt, Log, LogStore, Opened, PartitionRef, StorageError
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import PREFIX_SIZE, stamp, stamp_log_append_time

if TYPE_CHECKING:
    from flymq.core.catalog import Topic
    from flymq.core.settings import TopicConfig

_log = logging.getLogger("flymq.partitions")

_stamp = Struct(">qii").pack_into

# Since the last roll: so much is replayed as fast as a snapshot is read, and ten thousand files take seconds to write.
_REPLAYED_BYTES_MAX = 1 << 16

_PRODUCERS_CHECK_MS = 10 * 60 * 1000

# Waking a thousand long polls takes 15-27 ms: the loop gets a turn after each of so many.
_WAKE_CHUNK = 64


class Partition:
    """One partition that this broker leads.

    `log` decides, `store` keeps. `is_closed` once its topic is deleted: whoever holds a reference
    must look the topic up again.
    """

    __slots__ = (
        "_acks",
        "_env",
        "_wake",
        "ended",
        "index",
        "is_closed",
        "is_queueing",
        "log",
        "nothing_new",
        "offline",
        "ref",
        "store",
        "waiters",
    )

    def __init__(self, ref: PartitionRef, env: Env, wake: Callable[[Partition], None]) -> None:
        self.ref = ref
        self.index = ref.index
        self.log: PartitionLog
        self.store: Log
        self.offline: StorageError | None = None  # it has failed for good, until restart
        self.is_closed = False
        self.ended: Ended | None = None  # why it is closed
        self.is_queueing = False  # `flymq.runtime.validating` holds appends back: those that follow queue behind
        self.waiters: dict[Waiter, None] = {}  # parked fetches, in order of arrival
        # For Fetch: by (version, read_committed), (high watermark, last stable offset, log start, the answer that
        # says only this)
        self.nothing_new: dict[tuple[int, bool], tuple[int, int, int, bytes]] = {}
        self._env = env
        self._wake = wake
        self._acks: deque[tuple[int, Token]] = deque()  # (last offset, who waits for it), ascending

    def opened(self, opened: Opened, config: TopicConfig) -> None:
        """Rebuild the rules' state from what the store found."""
        log = PartitionLog(config, opened.log_start, opened.end, opened.epochs)
        now_ms = self._env.now_ms()
        if opened.snapshot is not None:
            try:
                log.producers.load(opened.snapshot[1])
            except BadSnapshot as bad:
                _log.warning("%s-%d: %s; idempotence starts anew", self.ref.topic, self.index, bad)
        for batch in opened.batches:
            aborted = log.apply(batch, now_ms)
            if aborted is not None:
                opened.log.add_aborted(aborted)
        if opened.segments:
            active = opened.segments[-1]
            log.resume_segment(active.base_offset, active.size_bytes, active.first_timestamp)
        self.log = log
        self.store = opened.log
        self.store.on_durable = self._durable
        self.store.on_offline = self._failed

    def check_epoch(self, leader_epoch: int) -> int:
        """The error code for a client that takes `leader_epoch` to be current; -1: it does not say.

        Errors: KAFKA_STORAGE_ERROR, FENCED_LEADER_EPOCH (KIP-320), UNKNOWN_LEADER_EPOCH.
        """
        if self.offline is not None:
            return ErrorCode.KAFKA_STORAGE_ERROR
        if leader_epoch < 0 or leader_epoch == self.log.leader_epoch:
            return 0
        return (
            ErrorCode.FENCED_LEADER_EPOCH
            if leader_epoch < self.log.leader_epoch
            else ErrorCode.UNKNOWN_LEADER_EPOCH
        )

    # -- append -----------------------------------------------------------------------------------

    def append(
        self, batch: memoryview, now_ms: int, transaction_version: int = TRANSACTION_V1
    ) -> AppendPlan | Duplicate | AppendError:
        """Append one produced batch. `batch` is stamped in place, and may be reused on return.

        Whether it may be part of a transaction says `transaction_version`: see `PartitionLog.plan`.
        """
        if self.offline is not None:
            return AppendError(ErrorCode.KAFKA_STORAGE_ERROR, str(self.offline))
        log = self.log
        plan = log.plan(batch, now_ms, transaction_version)
        if plan.__class__ is not AppendPlan:
            return plan
        # Base offset and leader epoch, with the length between them as it is: both outside the CRC.
        _stamp(batch, 0, plan.base_offset, plan.size - PREFIX_SIZE, plan.leader_epoch)
        if log.config.log_append_time:
            stamp_log_append_time(batch, plan.max_timestamp)
        try:
            self.store.append(plan)
        except Exception as failure:
            return self._not_stored(plan, failure)
        if plan.roll:
            self.snapshot_producers()
        return plan

    def _not_stored(self, plan: AppendPlan, failure: Exception) -> AppendError:
        """Give the plan's place back."""
        self.log.abandon(plan)
        if isinstance(failure, StorageError):
            return AppendError(ErrorCode.KAFKA_STORAGE_ERROR, str(failure))
        # What the store holds now is not known: going on could give one offset to two batches.
        self._failed(StorageError(f"the store failed: {failure!r}"))
        raise failure

    def write_marker(
        self,
        producer_id: int,
        producer_epoch: int,
        commit: bool,
        coordinator_epoch: int,
        now_ms: int,
        transaction_version: int = TRANSACTION_V1,
    ) -> Token:
        """End the producer's transaction here; where none is open, only its epochs are taken over.

        The token completes with None once the marker is durable and readers of committed records are let past it,
        else with an `AppendError` of `PartitionLog.plan_marker` or of the store, or as `when_durable`'s.
        """
        if self.offline is not None:
            return completed(self.offline)
        if self.is_closed:
            return completed(Ended.DELETED)
        plan = self.log.plan_marker(
            producer_id, producer_epoch, commit, coordinator_epoch, now_ms, transaction_version
        )
        if isinstance(plan, AppendError):
            return completed(plan)
        stamp(plan.batch, plan.base_offset, plan.leader_epoch)
        try:
            self.store.append(plan)
        except Exception as failure:
            return completed(self._not_stored(plan, failure))
        if plan.aborted is not None:
            self.store.add_aborted(plan.aborted)
        if plan.producers_before is not None:
            # A start is told of the log from its first marker on: what is newer than that is of no use to it.
            self._keep_snapshot(plan.base_offset, plan.producers_before)
        return self.when_durable(plan.last_offset) or completed()

    def open_transactions(self) -> dict[int, tuple[int, int]]:
        """Producer id -> (its epoch, the first offset of its open transaction), by the latter."""
        producers = self.log.producers
        return {
            producer_id: (producers.entries[producer_id][0], first_offset)
            for producer_id, first_offset in producers.transactions.open.items()
        }

    def when_durable(self, last_offset: int) -> Token | None:
        """None where `last_offset` is below the high watermark; else a token for when it is.

        The token completes with None, with a `StorageError`, or with `Ended.SHUTDOWN` or `Ended.DELETED`.
        """
        if last_offset < self.log.high_watermark:
            return None
        if self.offline is not None:
            return completed(self.offline)
        token = Token()
        acks = self._acks
        if acks and acks[-1][0] > last_offset:  # a retry of a batch that is still on its way
            position = next(i for i, (offset, _) in enumerate(acks) if offset > last_offset)
            acks.insert(position, (last_offset, token))
        else:
            acks.append((last_offset, token))
        return token

    def _durable(self, offset: int) -> None:
        log = self.log
        if offset <= log.high_watermark:
            return
        log.high_watermark = offset
        acks = self._acks
        if acks:
            ready = []
            while acks and acks[0][0] < offset:
                ready.append(acks.popleft()[1])
            # Newest first: a connection answers in order, hence all of these when its oldest is ready, in one write.
            for token in reversed(ready):
                token.complete()
        if self.waiters:
            self._wake(self)

    def _failed(self, failure: StorageError) -> None:
        self.offline = failure
        _log.error("%s-%d is offline until restart: %s", self.ref.topic, self.index, failure)
        self._end_waiting(failure)

    def _end_waiting(self, reason: object) -> None:
        acks, self._acks = self._acks, deque()
        for _, token in acks:
            token.complete(reason)
        for waiter in list(self.waiters):
            waiter.wake()

    # -- life -------------------------------------------------------------------------------------

    def trim(self, before_offset: int) -> Token:
        """Move the log start to `before_offset`, at most the high watermark; whole segments below it go.

        Completes with None once that is durable, or with a `StorageError`.
        Source: UnifiedLog.maybeIncrementLogStartOffset in Apache Kafka 4.
        """
        self.log.move_start(before_offset)
        if before_offset == self.log.end:
            self.snapshot_producers()  # nothing is left from which a start could learn of them
        if self.waiters:
            self._wake(self)  # who waits for what is gone must be told
        try:
            return self.store.trim(before_offset)
        except StorageError as failure:
            return completed(failure)

    def close(self, reason: Ended) -> None:
        """The topic is gone, or the broker stops: complete whatever waits."""
        self.is_closed = True
        self.ended = reason
        self._end_waiting(reason)

    def snapshot_producers(self) -> None:
        """Keep the producer state as of the log end, so that the next start need not replay the log for it."""
        if self.offline is None and self.log.producers.entries:
            self._keep_snapshot(self.log.end, self.log.producers.snapshot())

    def _keep_snapshot(self, offset: int, producers: bytes) -> None:
        try:
            self.store.snapshot(offset, producers)
        except StorageError as failure:
            _log.warning("%s-%d: no snapshot of its producers: %s", self.ref.topic, self.index, failure)

    def expire_producers(self, now_ms: int, expiration_ms: int) -> None:
        self.log.producers.expire(now_ms - expiration_ms)


class Waiter:
    """Something parked on partitions. `wake` is called when one of them has more to read, or is gone."""

    __slots__ = ()

    def wake(self) -> None:
        raise NotImplementedError


class Partitions:
    """All partitions of this broker, by topic name and by topic id."""

    def __init__(self, env: Env, logs: LogStore, producer_expiration_ms: int) -> None:
        self._env = env
        self._logs = logs
        self._by_name: dict[str, list[Partition]] = {}
        self._by_id: dict[bytes, list[Partition]] = {}
        self._woken: dict[Partition, None] = {}
        self._wake_scheduled = False
        self.is_held = False  # set by `flymq.runtime.validating`
        self.producer_expiration_ms = producer_expiration_ms
        self._env.call_in(_PRODUCERS_CHECK_MS, self._expire_producers)

    # -- look-up ----------------------------------------------------------------------------------

    def find(self, topic: str, index: int) -> Partition | None:
        """By topic name; None where there is no such partition."""
        partitions = self._by_name.get(topic)
        if partitions is None or not 0 <= index < len(partitions):
            return None
        return partitions[index]

    def find_by_id(self, topic_id: bytes, index: int) -> Partition | None:
        """By topic id (16 bytes); None where there is no such partition."""
        partitions = self._by_id.get(topic_id)
        if partitions is None or not 0 <= index < len(partitions):
            return None
        return partitions[index]

    def has_id(self, topic_id: bytes) -> bool:
        return topic_id in self._by_id

    def leader_epoch(self, topic_id: bytes, index: int) -> int:
        """The partition's current leader epoch; 0 where it could not be opened."""
        partition = self.find_by_id(topic_id, index)
        return 0 if partition is None or partition.offline is not None else partition.log.leader_epoch

    def __iter__(self) -> Iterator[Partition]:
        for partitions in self._by_id.values():
            yield from partitions

    # -- topics come and go -----------------------------------------------------------------------

    def open_topic(self, topic: Topic, config: TopicConfig) -> Token:
        """Open all partitions of a topic, then make them findable. Completes with None.

        A partition whose stored bytes are damaged is there, offline: it answers KAFKA_STORAGE_ERROR.
        """
        partitions = [
            Partition(PartitionRef(topic.name, topic.id, index), self._env, self._wake_soon)
            for index in range(topic.partition_count)
        ]
        done = Token()

        def all_opened(results: list[Opened | StorageError]) -> None:
            for partition, result in zip(partitions, results, strict=True):
                if isinstance(result, Opened):
                    partition.opened(result, config)
                else:
                    self._opened_offline(partition, result, config)
            self._by_name[topic.name] = self._by_id[topic.id] = partitions
            done.complete()

        gather([self._logs.open(partition.ref, -1) for partition in partitions]).then(all_opened)
        return done

    def _opened_offline(self, partition: Partition, failure: StorageError, config: TopicConfig) -> None:
        kind = "damaged" if isinstance(failure, Corrupt) else "not readable"
        _log.error("%s-%d is offline, its log is %s: %s", partition.ref.topic, partition.index, kind, failure)
        partition.log = PartitionLog(config, 0, 0, [(0, 0)])
        partition.offline = failure

    def grow_topic(self, topic: Topic, config: TopicConfig) -> Token:
        """Open the partitions that `topic` has beyond those that are open, then make them findable.

        Completes with None, or with a StorageError: then there are as many as before.
        """
        before = self._by_id.get(topic.id, [])
        added = [
            Partition(PartitionRef(topic.name, topic.id, index), self._env, self._wake_soon)
            for index in range(len(before), topic.partition_count)
        ]
        done = Token()

        def all_opened(results: list[Opened | StorageError]) -> None:
            opened = [result for result in results if isinstance(result, Opened)]
            failure = next((result for result in results if isinstance(result, StorageError)), None)
            partitions = self._by_id.get(topic.id)
            if partitions is None:  # deleted meanwhile
                self._logs.drop(topic.id)
            elif failure is None:
                for partition, result in zip(added, opened, strict=True):
                    partition.opened(result, config)
                partitions.extend(added)
            done.complete(failure)

        gather([self._logs.open(partition.ref, -1) for partition in added]).then(all_opened)
        return done

    def set_config(self, topic: Topic, config: TopicConfig) -> None:
        """From the next append on, the topic's partitions follow these settings."""
        for partition in self._by_id.get(topic.id, ()):
            partition.log.config = config

    def close_topic(self, topic: Topic) -> None:
        """The topic is deleted: stop appends and reads, complete whoever waits, drop the bytes."""
        partitions = self._by_id.pop(topic.id, None)
        if partitions is None:
            return
        if self._by_name.get(topic.name) is partitions:
            del self._by_name[topic.name]
        for partition in partitions:
            partition.close(Ended.DELETED)
        self._logs.drop(topic.id)

    # -- waking -----------------------------------------------------------------------------------

    def _wake_soon(self, partition: Partition) -> None:
        """Wake who is parked on `partition` in the loop's next turn, so that many appends wake it once
        and their own answers go out first."""
        self._woken[partition] = None
        if not self._wake_scheduled:
            self._wake_scheduled = True
            self._env.call_soon(self._wake_parked)

    def _wake_parked(self) -> None:
        woken, self._woken = self._woken, {}
        self._wake_scheduled = False
        waiters = [waiter for partition in woken for waiter in partition.waiters]
        for waiter in waiters[:_WAKE_CHUNK]:
            waiter.wake()
        if len(waiters) > _WAKE_CHUNK:
            self._env.call_soon(self._wake_rest, waiters, _WAKE_CHUNK)

    def _wake_rest(self, waiters: list[Waiter], start: int) -> None:
        for waiter in waiters[start : start + _WAKE_CHUNK]:
            waiter.wake()
        if len(waiters) > start + _WAKE_CHUNK:
            self._env.call_soon(self._wake_rest, waiters, start + _WAKE_CHUNK)

    # -- housekeeping -----------------------------------------------------------------------------

    @property
    def is_backlogged(self) -> bool:
        """True while the disk, or the look inside batches, is too far behind: producers must not be read."""
        return self._logs.is_backlogged or self.is_held

    def _expire_producers(self) -> None:
        now_ms = self._env.now_ms()
        for partition in self:
            partition.expire_producers(now_ms, self.producer_expiration_ms)
        self._env.call_in(_PRODUCERS_CHECK_MS, self._expire_producers)

    def close(self) -> None:
        """The broker stops: snapshot the producers, complete whoever waits."""
        for partition in self:
            if partition.log.segment_bytes > _REPLAYED_BYTES_MAX:
                partition.snapshot_producers()
            partition.close(Ended.SHUTDOWN)
