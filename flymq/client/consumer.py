"""`Consumer`: messages of topics, one after the other, as a member of a group.

What it adds to kafka-python's: commits that cover exactly what the loop is done with, a group membership that
outlives slow work, errors that say what to do. One thread at a time, but for `stop()`.
"""

from __future__ import annotations

import logging
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from flymq.client.arguments import ISOLATIONS, RESETS, check_group, check_topics, one_of, seconds
from flymq.client.buffer import Buffer
from flymq.client.connection import Connection
from flymq.client.errors import (
    ClosedError,
    DeserializationError,
    FlyMQError,
    InvalidArgumentError,
    NoCommittedOffsetError,
    translate,
)
from flymq.client.kafka_python import bounded, commit_offsets, rebalance_listener, topic_partition
from flymq.client.messages import Message, Partition, timestamp_ms
from flymq.client.progress import Progress
from flymq.client.subscribing import await_creation, missing_topics

logger = logging.getLogger("flymq.client")

_RECORDS_MAX = 500
# How long one wait for messages lasts: after it, `stop()` and the clock are looked at. A message ends it at once.
_WAIT_S = 0.2
# A loop that takes longer than this over what was fetched still answers the group's coordinator in between.
_KEEPALIVE_S = 1.0
_REJOIN_WAIT_S = 10.0
_RETRY_MS = 20

AnyPartition = Partition | tuple[str, int]
Deserializer = Callable[[bytes], Any]
OnPartitions = Callable[[list[Partition]], object]


class Consumer:
    """Iterate over it, with or without `with`; nothing is connected before. Made by `FlyMQClient.consumer`.

        with client.consumer("orders", group_id="kitchen") as consumer:
            for message in consumer:
                cook(message)

    **Commits.** With `auto_commit`, the offsets of all messages whose turn of the loop is over, every
    `auto_commit_interval` seconds between two messages, before partitions are given to another member, and at the
    end. An exception in the loop leaves its message uncommitted: it comes again. Without `auto_commit` nothing is
    committed but by `commit()`.

    **Callbacks.** `on_assigned` is called with new partitions on the thread that iterates, once their positions
    are known; it may seek. `on_revoked` is called before they are given up, on kafka-python's own thread: it must not
    use the consumer but for `commit()`, which takes effect when it returns. After a lost membership it is not called.

    Partitions without a message for a group member and brokers that are away for a while are waited for.
    """

    def __init__(
        self,
        connection: Connection,
        topics: str | Sequence[str] | re.Pattern[str],
        group_id: str | None = None,
        *,
        auto_offset_reset: str = "latest",
        auto_commit: bool = True,
        auto_commit_interval: float = 5.0,
        idle_timeout: float | None = None,
        isolation: str = "uncommitted",
        on_assigned: OnPartitions | None = None,
        on_revoked: OnPartitions | None = None,
        key_deserializer: Deserializer | None = None,
        value_deserializer: Deserializer | None = None,
        on_close: Callable[[Consumer], None] | None = None,
        **settings: Any,
    ) -> None:
        self._connection = connection
        self._topics: list[str] | re.Pattern[str] = check_topics(topics)
        self._group_is_ours = group_id is None
        self.group_id = check_group(group_id)
        self._reset = one_of("auto_offset_reset", auto_offset_reset, RESETS)
        self._isolation = one_of("isolation", isolation, ISOLATIONS)
        self._auto_commit = auto_commit
        self._interval = seconds("auto_commit_interval", auto_commit_interval)
        self._idle_timeout = math.inf if idle_timeout is None else seconds("idle_timeout", idle_timeout)
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._key_deserializer = key_deserializer
        self._value_deserializer = value_deserializer
        self._deserializes = key_deserializer is not None or value_deserializer is not None
        self._on_close = on_close
        self._settings = {"max_poll_records": _RECORDS_MAX, "retry_backoff_ms": _RETRY_MS, **settings}

        self._kafka: Any = None
        self._closed = False
        self._stopping = False
        self._progress = Progress()
        self._buffer = Buffer()
        # What was yielded and is not finished: partition -> offset after it.
        self._in_hand: Message[Any, Any] | None = None
        self._many_in_hand: dict[Partition, int] = {}
        self._assigned: list[Partition] = []
        self._joined: list[Partition] | None = None  # by the listener, for the next look
        self._resumed: dict[Partition, int] = {}
        self._member = False  # once it was, it stays so
        self._hinted = False
        self._revoking: dict[Partition, int] | None = None  # what commit() in on_revoked asked for
        self._service_at = 0.0
        self._commit_at = 0.0
        self._polled_at = 0.0
        self._outer_error: BaseException | None = None

    # -- iteration --------------------------------------------------------------------------------

    def __iter__(self) -> Self:
        self._stopping = False
        self._outer_error = sys.exc_info()[1]
        return self

    def __next__(self) -> Message[Any, Any]:
        """The next message; the one before is finished. StopIteration after `stop()` or `idle_timeout` seconds.

        Raises `NoCommittedOffsetError`, `TopicNotFoundError`, `DeserializationError` (and stays at that message),
        `BrokerUnavailableError` where there is no broker to begin with.
        """
        if (time.monotonic() >= self._service_at or not self._buffer.has_head()) and not self._more():
            raise StopIteration
        message = self._buffer.head()
        if self._deserializes:
            message.deserialize(self._key_deserializer, self._value_deserializer)
        self._buffer.advance()
        self._in_hand = message
        return message

    def at_hand(self) -> bool:
        """Whether the next message is here, so that `next` does not wait for anything."""
        return self._buffer.has_head() and time.monotonic() < self._service_at

    def poll(self, timeout: float = 1.0, max_records: int = _RECORDS_MAX) -> list[Message[Any, Any]]:
        """Up to `max_records` messages, in order for each partition; none after `timeout` seconds without any.

        All of them are in hand: the next call, or a clean end, finishes them.
        """
        taken: list[Message[Any, Any]] = []
        if self._more(timeout):
            while len(taken) < max_records and self._buffer.ready():
                message = self._buffer.head()
                try:
                    if self._deserializes:
                        message.deserialize(self._key_deserializer, self._value_deserializer)
                except DeserializationError:
                    if taken:
                        break  # these first; the next call is at the bad one
                    raise
                self._buffer.advance()
                taken.append(message)
        self._many_in_hand = {self._partition_of(message): message.offset + 1 for message in taken}
        return taken

    def batches(self, max_records: int = _RECORDS_MAX, timeout: float = 1.0) -> Iterator[list[Message[Any, Any]]]:
        """`poll` without end, empty lists left out; ends as iteration does."""
        iter(self)
        deadline = time.monotonic() + self._idle_timeout
        while not self._stopping and time.monotonic() < deadline:
            if messages := self.poll(min(timeout, max(0.0, deadline - time.monotonic())), max_records):
                yield messages
                deadline = time.monotonic() + self._idle_timeout

    def stop(self) -> None:
        """Let the iteration end after the message in hand. From any thread, or a signal handler."""
        self._stopping = True
        self._service_at = 0.0

    # -- fetching ---------------------------------------------------------------------------------

    def _more(self, timeout: float = math.inf) -> bool:
        """End the turn of what is in hand, do what is due, have a message ready. False: stopped, or none in time."""
        self._finish_in_hand()
        self._serve_group()
        deadline = time.monotonic() + timeout
        idle_deadline = math.inf
        while not self._stopping:
            if self._buffer.ready():
                return True
            now = time.monotonic()
            if idle_deadline == math.inf and self._member:  # joining is not idling
                idle_deadline = now + self._idle_timeout
            left = min(deadline, idle_deadline) - now
            self._fetch(max(0.0, min(_WAIT_S, left)))
            self._commit_if_due()
            if left <= 0 and not self._buffer.ready():
                return False
        return False

    def _fetch(self, wait: float) -> None:
        """One poll of kafka-python: messages, if there are some within `wait` seconds; joins and rejoins its group."""
        try:
            records = self._kafka.poll(timeout_ms=wait * 1000)
        except Exception as error:
            self._polling_failed(error, wait)
            return
        self._polled_at = time.monotonic()
        for partition, found in records.items():
            self._buffer.add(Partition(*partition), [Message.of_record(record) for record in found])
        if self._joined is not None:
            self._begin_with(self._joined)

    def _polling_failed(self, error: Exception, wait: float) -> None:
        """A broker that is away for a while is waited for; all else is told."""
        cause = error.__cause__
        if cause is not None and "rebalance callback" in str(error):
            raise cause  # the user's own, out of on_revoked
        if type(error).__name__ == "NoOffsetForPartitionError":
            missing = ", ".join(str(Partition(*partition)) for partition in sorted(error.args[0]))
            raise NoCommittedOffsetError(f"group {self.group_id} has committed nothing for {missing}") from error
        if not getattr(error, "retriable", False):
            raise translate(error, f"consume {self._what()}") from error
        logger.debug("consume %s: %r, trying again", self._what(), error)
        time.sleep(min(wait, _RETRY_MS / 1000))

    # -- joining ----------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._closed:
            raise ClosedError("the consumer is closed", hint="make a new one: client.consumer(...)")
        if self._kafka is not None:
            return
        self._kafka = self._connection.consumer(
            auto_create_topics=self._connection.auto_create_topics,
            group_id=self.group_id,
            auto_offset_reset=self._reset,
            isolation_level=self._isolation,
            **self._settings,
        )
        self._commit_at = time.monotonic() + self._interval
        try:
            listener = rebalance_listener(self)
            if isinstance(self._topics, re.Pattern):
                self._kafka.subscribe(pattern=self._topics.pattern, listener=listener)
            else:
                missing = missing_topics(self._kafka, self._connection, self._topics)
                self._kafka.subscribe(topics=self._topics, listener=listener)
                await_creation(self._kafka, self._connection, missing)
        except Exception as error:
            raise translate(error, f"subscribe to {self._what()}") from error

    def _begin_with(self, partitions: list[Partition]) -> None:
        """Partitions are ours now. Find out where we begin, and see to it that a crash can't skip anything.

        A group that begins at the end has no commit to come back to: without one, what comes between now and the
        first commit would be skipped after a crash. So where we commit at all, the beginning is committed first.
        """
        self._joined = None
        self._member = True
        self._assigned = sorted({*self._assigned, *partitions})
        try:
            resumed = {} if self._group_is_ours else self._committed_offsets(partitions)
            self._resumed = resumed
            fresh = [partition for partition in partitions if partition not in resumed]
            if fresh and self._reset == "latest":
                begin = {partition: self.position(partition) for partition in fresh}
                if self._auto_commit and not self._group_is_ours:
                    self._commit(begin, self._connection.timeout)
                self._hint_at_old_messages(begin)
        except FlyMQError as error:
            if not error.retriable:
                raise
            logger.debug("beginning with %s: %r", partitions, error)
        if self._on_assigned is not None:
            self._on_assigned(partitions)

    def _committed_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """One request for all of them; kafka-python's public `committed` makes one for each."""
        wanted = [topic_partition(partition) for partition in partitions]
        try:
            timeout_ms = self._connection.timeout * 1000
            found = self._kafka._coordinator.fetch_committed_offsets(wanted, timeout_ms=timeout_ms)
        except Exception as error:
            raise translate(error, f"read the offsets of group {self.group_id}") from error
        return {Partition(*partition): offset.offset for partition, offset in found.items() if offset.offset >= 0}

    def _hint_at_old_messages(self, begin: Mapping[Partition, int]) -> None:
        if self._hinted:
            return
        self._hinted = True
        first = self._beginning_offsets(list(begin))
        old = sum(max(0, offset - first[partition]) for partition, offset in begin.items())
        if old:
            logger.warning(
                "group %s begins at the end of %s: %d older messages are not read; "
                'auto_offset_reset="earliest" (flymq-cli: --from-beginning) begins with them',
                self.group_id, self._what(), old,
            )

    def resumed_from(self) -> dict[Partition, int]:
        """Where the last assignment found commits of the group: auto_offset_reset had no say there."""
        return dict(self._resumed)

    def _join(self) -> None:
        """Be a member, or at least have tried for `timeout` seconds."""
        self._start()
        deadline = time.monotonic() + self._connection.timeout
        while not self._member and not self._stopping and time.monotonic() < deadline:
            self._fetch(_RETRY_MS / 1000)

    # -- being a member ---------------------------------------------------------------------------

    def _serve_group(self) -> None:
        """Between two messages: commit what is due, and answer the coordinator when the loop is slow."""
        self._start()
        self._commit_if_due()
        now = time.monotonic()
        self._service_at = now + min(_KEEPALIVE_S, self._interval)
        if self._buffer.ready() and now - self._polled_at >= _KEEPALIVE_S:
            self._keep_alive()

    def _keep_alive(self) -> None:
        """A poll that can bring no messages: everything is paused meanwhile. A rebalance is gone through."""
        active = self._kafka.assignment() - self._kafka.paused()
        self._kafka.pause(*active)
        try:
            self._fetch(0)
            deadline = time.monotonic() + _REJOIN_WAIT_S
            while not self._assigned and self._member and time.monotonic() < deadline and not self._stopping:
                self._fetch(_RETRY_MS / 1000)
        finally:
            self._kafka.resume(*(active & self._kafka.assignment()))

    async def revoked(self, partitions: list[Partition]) -> None:
        """On kafka-python's thread, while ours waits for it: the last moment to commit."""
        wanted: dict[Partition, int] = {}
        try:
            if self._on_revoked is not None:
                self._revoking = wanted
                self._on_revoked(partitions)
        finally:
            self._revoking = None
            if self._auto_commit and not self._closed:
                wanted |= self._progress.uncommitted(partitions)
            if wanted:
                try:
                    await self._kafka.commit_async(commit_offsets(wanted))
                except Exception as error:
                    logger.warning("group %s: could not commit before a rebalance, so some messages come again: %s",
                                   self.group_id, error)
            self.lost(partitions)

    def lost(self, partitions: list[Partition]) -> None:
        """They belong to somebody else: nothing of them is yielded or committed any more."""
        for partition in partitions:
            self._buffer.drop(partition)
        self._progress.forget(partitions)
        self._assigned = [partition for partition in self._assigned if partition not in partitions]
        if self._joined is not None:  # given and taken again within one poll
            self._joined = [partition for partition in self._joined if partition not in partitions] or None

    def assigned(self, partitions: list[Partition]) -> None:
        """On kafka-python's thread; `_begin_with` does the work on ours."""
        self._joined = [*(self._joined or []), *partitions]

    # -- committing -------------------------------------------------------------------------------

    def take_in_hand(self, message: Message[Any, Any] | None) -> None:
        """For who yields on behalf of this consumer: what its loop has in hand, in place of what it has here."""
        self._in_hand = message

    def _finish_in_hand(self) -> None:
        message = self._in_hand
        if message is not None:
            self._in_hand = None
            self._progress.finish(self._partition_of(message), message.offset + 1)
        elif self._many_in_hand:
            many, self._many_in_hand = self._many_in_hand, {}
            for partition, offset in many.items():
                self._progress.finish(partition, offset)

    def _partition_of(self, message: Message[Any, Any]) -> Partition:
        return Partition(message.topic, message.partition)

    def commit(self, message: Message[Any, Any] | None = None) -> None:
        """Commit the messages in hand and all before them; or all of a partition up to `message`, that one included.

        Returns when the group has it. Raises `CommitFailedError` where the partition is another member's by now,
        `RequestTimeoutError`, `BrokerUnavailableError`.
        """
        if self._closed:
            raise ClosedError("the consumer is closed", hint="commit before it is, or inside the with block")
        if message is not None:
            partition = self._partition_of(message)
            if self._in_hand is message:
                self._in_hand = None
            self._progress.finish(partition, message.offset + 1)
            wanted = self._progress.uncommitted([partition])
        else:
            self._finish_in_hand()
            wanted = self._progress.uncommitted()
        if self._revoking is not None:
            self._revoking.update(wanted)
        else:
            self._commit(wanted, self._connection.timeout)

    def _commit(self, offsets: dict[Partition, int], timeout: float) -> None:
        if not offsets:
            return
        try:
            self._kafka.commit(commit_offsets(offsets), timeout_ms=timeout * 1000)
        except Exception as error:
            raise translate(error, f"commit offsets of group {self.group_id}") from error
        self._progress.committed(offsets)

    def _commit_if_due(self) -> None:
        now = time.monotonic()
        if not self._auto_commit or now < self._commit_at:
            return
        self._commit_at = now + self._interval
        offsets = self._progress.uncommitted()
        if offsets:
            future = self._kafka.commit_async(commit_offsets(offsets))
            future.add_callback(lambda _: self._progress.committed(offsets))
            future.add_errback(lambda error: logger.debug("commit of group %s: %r", self.group_id, error))

    # -- positions --------------------------------------------------------------------------------

    def assignment(self) -> list[Partition]:
        """The partitions that are ours, sorted; those of a rebalance under way not yet."""
        return list(self._assigned)

    def position(self, partition: AnyPartition) -> int:
        """The offset of the partition's next message that the loop would get."""
        wanted = self._ours(partition)
        buffered = self._buffer.offset(wanted)
        if buffered is not None:
            return buffered
        try:
            position = self._kafka.position(topic_partition(wanted), timeout_ms=self._connection.timeout * 1000)
        except Exception as error:
            raise translate(error, f"position in {wanted}") from error
        if position is None:
            raise translate(TimeoutError("no answer in time"), f"position in {wanted}")
        return int(position)

    def committed(self, partition: AnyPartition) -> int | None:
        """What the group has committed for it; None for nothing."""
        self._start()
        wanted = Partition(*partition)
        return self._committed_offsets([wanted]).get(wanted)

    def lag(self) -> dict[Partition, int]:
        """For each partition that is ours, how many offsets are between the loop and the end."""
        self._join()
        ends = self._look_up("end_offsets", self._assigned)
        return {partition: max(0, end - self.position(partition)) for partition, end in ends.items()}

    def seek(self, partition: AnyPartition, offset: int) -> None:
        """Go on at this offset of a partition that is ours. The next commit covers what is before it."""
        wanted = self._ours(partition)
        if offset < 0:
            raise InvalidArgumentError(f"seek {wanted}: there is no offset {offset}", hint="offsets begin at 0")
        self._buffer.drop(wanted)
        if self._in_hand is not None and self._partition_of(self._in_hand) == wanted:
            self._in_hand = None
        self._many_in_hand.pop(wanted, None)
        self._kafka.seek(topic_partition(wanted), offset)
        self._progress.finish(wanted, offset)

    def seek_to_beginning(self, *partitions: AnyPartition) -> None:
        """Go back to the log start offset: of these, or of all that are ours."""
        for partition, offset in self._beginning_offsets(self._ours_or_all(partitions)).items():
            self.seek(partition, offset)

    def seek_to_end(self, *partitions: AnyPartition) -> None:
        """Skip what is there: of these, or of all that are ours."""
        for partition, offset in self._look_up("end_offsets", self._ours_or_all(partitions)).items():
            self.seek(partition, offset)

    def seek_to_time(self, when: datetime | int, *partitions: AnyPartition) -> None:
        """Go to the first message at or after `when` (aware datetime, or ms since the epoch); the end without one."""
        wanted = self._ours_or_all(partitions)
        times = dict.fromkeys(map(topic_partition, wanted), timestamp_ms(when))
        try:
            found = self._kafka.offsets_for_times(times)
        except Exception as error:
            raise translate(error, f"look up offsets of {self._what()}") from error
        ends = self._look_up("end_offsets", wanted)
        for partition in wanted:
            hit = found.get(topic_partition(partition))
            self.seek(partition, ends[partition] if hit is None else hit.offset)

    def pause(self, *partitions: AnyPartition) -> None:
        """No messages of these, or of any, until `resume`; the membership goes on."""
        for partition in self._ours_or_all(partitions):
            offset = self._buffer.offset(partition)
            self._buffer.drop(partition)
            self._kafka.pause(topic_partition(partition))
            if offset is not None:  # kafka-python is past what was buffered
                self._kafka.seek(topic_partition(partition), offset)

    def resume(self, *partitions: AnyPartition) -> None:
        """Undo `pause`."""
        self._kafka.resume(*map(topic_partition, self._ours_or_all(partitions)))

    def _beginning_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return self._look_up("beginning_offsets", partitions)

    def _look_up(self, method: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
        if not partitions:
            return {}
        try:
            found = getattr(self._kafka, method)([topic_partition(partition) for partition in partitions])
        except Exception as error:
            raise translate(error, f"look up offsets of {self._what()}") from error
        return {Partition(*partition): offset for partition, offset in found.items()}

    def _ours(self, partition: AnyPartition) -> Partition:
        wanted = Partition(*partition)
        self._join()
        if wanted not in self._assigned:
            raise InvalidArgumentError(
                f"{wanted} is not assigned to this consumer",
                hint=f"it has {', '.join(map(str, self._assigned)) or 'no partitions now'}",
            )
        return wanted

    def _ours_or_all(self, partitions: Sequence[AnyPartition]) -> list[Partition]:
        self._join()
        return [self._ours(partition) for partition in partitions] if partitions else list(self._assigned)

    # -- the end ----------------------------------------------------------------------------------

    def close(self, commit: bool | None = None, timeout: float = 5.0) -> None:
        """Commit, leave the group, disconnect; within `timeout` seconds. Harmless a second time.

        `commit` None: commit what is finished if `auto_commit` is on. The message in hand counts as finished, unless
        an exception is on its way (in a `finally`, say).
        """
        error = sys.exc_info()[1]
        self.finish(commit, timeout, failed=error is not None and error is not self._outer_error)

    def finish(self, commit: bool | None, timeout: float, *, failed: bool) -> None:
        """`close`, told whether the message in hand failed."""
        if self._closed:
            return
        deadline = time.monotonic() + timeout
        if self._kafka is not None:
            self._last_commit(commit, timeout, failed=failed)
        self._closed = True
        if self._kafka is not None:
            bounded(lambda: self._kafka.close(autocommit=False, timeout_ms=timeout * 1000), deadline)
            if self._group_is_ours and self._member:
                bounded(lambda: self._connection.admin().delete_groups([self.group_id]), deadline)
        if self._on_close is not None:
            self._on_close(self)

    def _last_commit(self, commit: bool | None, timeout: float, *, failed: bool) -> None:
        if failed:
            self._in_hand, self._many_in_hand = None, {}
        self._finish_in_hand()
        if commit or (commit is None and self._auto_commit and not self._group_is_ours):
            try:
                self._commit(self._progress.uncommitted(), timeout)
            except FlyMQError as error:
                logger.warning("closing: %s, so some messages come again", error)

    def __enter__(self) -> Self:
        """A member of the group from here on: what is produced inside the block is seen."""
        self._outer_error = sys.exc_info()[1]
        self._join()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(None, 5.0, failed=kind is not None)

    def _what(self) -> str:
        return self._topics.pattern if isinstance(self._topics, re.Pattern) else ", ".join(self._topics)

    def __repr__(self) -> str:
        started = f"{len(self._assigned)} partitions" if self._kafka is not None else "not started"
        state = "closed" if self._closed else started
        return f"<Consumer of {self._what()} in group {self.group_id}: {state}>"
