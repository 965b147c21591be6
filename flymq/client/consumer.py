"""`Consumer`: messages of topics, one after the other, as a member of a group.

What it adds to kafka-python's: commits that cover exactly what the loop is done with, a group membership that
outlives slow work, errors that say what to do. One thread at a time, but for `stop()`.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from flymq.client.arguments import ISOLATIONS, RESETS, check_group, check_topics, one_of, seconds
from flymq.client.buffer import Buffer
from flymq.client.connection import Connection
from flymq.client.errors import (
    ClosedError,
    CommitFailedError,
    DeserializationError,
    FlyMQError,
    InvalidArgumentError,
    NoCommittedOffsetError,
    translate,
)
from flymq.client.kafka_python import (
    bounded,
    commit_offsets,
    rebalance_listener,
    require_stable_offsets,
    topic_partition,
)
from flymq.client.messages import Message, Partition
from flymq.client.offsets import Offsets
from flymq.client.positions import Positioned
from flymq.client.progress import Progress
from flymq.client.subscribing import (
    Topics,
    check_settings,
    hint_at_old,
    is_joining,
    keep_joining,
    subscribe,
)

logger = logging.getLogger("flymq.client")

_RECORDS_MAX = 500
# How long one wait for messages lasts: after it, `stop()` and the clock are looked at. A message ends it at once.
_WAIT_S = 0.2
# A loop that takes longer than this over what was fetched still answers the group's coordinator in between.
_KEEPALIVE_S = 1.0
_RETRY_MS = 20
_LAST_COMMIT_S = 5.0

Deserializer = Callable[[bytes], Any]
OnPartitions = Callable[[list[Partition]], object]


class Consumer(Positioned):
    """Iterate over it, with or without `with`; nothing is connected before. Made by `FlyMQClient.consumer`.

        with client.consumer("orders", group_id="kitchen") as consumer:
            for message in consumer:
                cook(message)

    **Commits.** With `auto_commit`, the offsets of all messages whose turn of the loop is over, every
    `auto_commit_interval` seconds between two messages, before partitions are given to another member, and at the
    end. An exception that leaves the `with` block leaves its message uncommitted: it comes again. Without
    `auto_commit` nothing is committed but by `commit()`.

    **Callbacks.** `on_assigned` is called with new partitions on the thread that iterates, once their positions
    are known; it may seek. `on_revoked` is called before they are given up, on kafka-python's own thread: it must not
    use the consumer but for `commit()`, which takes effect when it returns. It is called on closing too, and not
    after a lost membership. A partition that is ours again after a rebalance goes on where it was.

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
        check_settings(settings)
        self._topics: Topics = check_topics(topics)
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
        wait_ms = int(min(0.5, connection.timeout / 2) * 1000)  # kafka-python wants it below the timeout
        defaults = {"max_poll_records": _RECORDS_MAX, "retry_backoff_ms": _RETRY_MS, "fetch_max_wait_ms": wait_ms}
        self._settings = {**defaults, **settings}

        self._kafka: Any = None
        self._offsets: Offsets
        self._closed = False
        self._stopping = False
        self._progress = Progress()
        self._buffer = Buffer()
        self._assigned: list[Partition] = []
        self._joined: list[Partition] | None = None  # by the listener, for the next look
        self._resumed: dict[Partition, int] = {}
        self._began: dict[Partition, int] = {}  # the first offset of each that we got
        self._left_at: dict[Partition, int] = {}  # where we were, when it was taken from us
        self._member = False  # once it was, it stays so
        self._hinted = False
        self._revoking: dict[Partition, int] | None = None  # what commit() in on_revoked asked for
        self._service_at = self._commit_at = self._polled_at = 0.0

    # -- iteration --------------------------------------------------------------------------------

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message[Any, Any]:
        """The next message; the one before is finished. StopIteration after `stop()` or `idle_timeout` seconds.

        Raises `NoCommittedOffsetError`, `TopicNotFoundError`, `DeserializationError` (and stays at that message),
        `BrokerUnavailableError` where there is no broker to begin with.
        """
        if (time.monotonic() >= self._service_at or not self._buffer.has_head()) and not self._more():
            self._end_of_loop()
            raise StopIteration
        message = self._buffer.head()
        if self._deserializes:
            try:
                message.deserialize(self._key_deserializer, self._value_deserializer)
            except DeserializationError:
                self._progress.end_turn()  # that one is over, whatever becomes of this one
                raise
        self._buffer.advance()
        self._progress.in_hand = message
        return message

    def at_hand(self) -> bool:
        """Whether the next message is here, so that `next` does not wait for anything."""
        return self._buffer.has_head() and time.monotonic() < self._service_at

    def poll(self, timeout: float = 1.0, max_records: int = _RECORDS_MAX) -> list[Message[Any, Any]]:
        """Up to `max_records` messages, in order for each partition; none after `timeout` seconds without any.

        All of them are in hand: the next call, or a clean end, finishes them.
        """
        taken = self._take(timeout, max_records)
        self._stopping = False
        return taken

    def _take(self, timeout: float, max_records: int) -> list[Message[Any, Any]]:
        if max_records < 1:
            raise InvalidArgumentError(f"max_records is {max_records}", hint="give 1 or more")
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
        self._progress.take_batch(taken)
        self._service_at = 0.0  # so that whatever comes next finishes them first
        return taken

    def batches(self, max_records: int = _RECORDS_MAX, timeout: float = 1.0) -> Iterator[list[Message[Any, Any]]]:
        """`poll` without end, empty lists left out; ends as iteration does."""
        iter(self)
        self._join()  # which is not idling
        deadline = time.monotonic() + self._idle_timeout
        while not self._stopping and time.monotonic() < deadline:
            if messages := self._take(min(timeout, max(0.0, deadline - time.monotonic())), max_records):
                yield messages
                deadline = time.monotonic() + self._idle_timeout
        self._end_of_loop()

    def stop(self) -> None:
        """Let the iteration end after the message in hand, or the next one not begin. From any thread, or signal."""
        self._stopping = True
        self._service_at = 0.0

    def unstop(self) -> None:
        """A `stop` that has ended nothing yet is not meant any more."""
        self._stopping = False

    # -- fetching ---------------------------------------------------------------------------------

    def _more(self, timeout: float = math.inf) -> bool:
        """End the turn of what is in hand, do what is due, have a message ready. False: stopped, or none in time."""
        self._progress.end_turn()
        self._serve_group()
        deadline = time.monotonic() + timeout
        idle_deadline = math.inf
        while not self._stopping:
            if self._joined is None and self._buffer.ready():
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
        keep_joining(self._kafka)
        try:
            records = self._kafka.poll(timeout_ms=wait * 1000)
        except Exception as error:
            self._polling_failed(error, wait)
            return
        self._polled_at = time.monotonic()
        for partition, found in records.items():
            self._buffer.add(Partition(*partition), [Message.of_record(record) for record in found])
            self._began.setdefault(Partition(*partition), found[0].offset)
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
        require_stable_offsets(self._kafka)
        try:
            subscribe(self._kafka, self._connection, self._topics, rebalance_listener(self))
        except BaseException as error:
            kafka, self._kafka = self._kafka, None
            bounded(lambda: kafka.close(autocommit=False, timeout_ms=1000), time.monotonic() + 1)
            if isinstance(error, Exception):
                raise translate(error, f"subscribe to {self._what()}") from error
            raise
        self._offsets = Offsets(self._kafka, self.group_id, self._what(), self._connection.timeout)
        self._commit_at = time.monotonic() + self._interval

    def _begin_with(self, partitions: list[Partition]) -> None:
        """Partitions are ours now. Find out where we begin, and see to it that nothing can be skipped."""
        self._joined = None
        self._member = True
        self._assigned = sorted({*self._assigned, *partitions})
        try:
            self._resumed = {} if self._group_is_ours else self._offsets.committed(partitions)
            self._begin_without_commit([partition for partition in partitions if partition not in self._resumed])
        except FlyMQError as error:
            if not error.retriable:
                raise
            logger.debug("beginning with %s: %r, trying again", partitions, error)
            self._joined = partitions
            return
        if self._on_assigned is not None:
            self._on_assigned(partitions)

    def _begin_without_commit(self, partitions: list[Partition]) -> None:
        """Where the group has no commit: go on where we were before; else `auto_offset_reset` says.

        A group that begins at the end has nothing to come back to: what comes between now and the first commit would
        be skipped after a crash. So the beginning counts as finished, and where we commit at all, that is done at once.
        """
        for partition in partitions:
            if partition in self._left_at:
                self._buffer.drop(partition)
                self._kafka.seek(topic_partition(partition), self._left_at[partition])
        if self._reset != "latest" or not partitions:
            return
        begin = {partition: self.position(partition) for partition in partitions}
        if not self._hinted:
            self._hinted = True
            hint_at_old(self.group_id, self._what(), begin, self._offsets.beginnings(partitions))
        if self._group_is_ours:
            return
        for partition, offset in begin.items():
            self._progress.finish(partition, offset)
        if self._auto_commit:
            try:
                self._commit(begin)
            except FlyMQError:
                self._commit_at = 0.0  # try again soon

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
        if self._buffer.ready() and (now - self._polled_at >= _KEEPALIVE_S or is_joining(self._kafka)):
            self._keep_alive(0)
        self._service_at = 0.0 if is_joining(self._kafka) else now + min(_KEEPALIVE_S, self._interval)

    def _keep_alive(self, wait: float) -> None:
        """A poll that can bring no messages: everything is paused meanwhile. It may begin a rebalance."""
        active = self._kafka.assignment() - self._kafka.paused()
        self._kafka.pause(*active)
        try:
            self._fetch(wait)
        finally:
            self._kafka.resume(*(active & self._kafka.assignment()))

    def _end_rebalance(self, timeout: float) -> None:
        """Nothing can be committed before it is over, and what is ours to commit is known then only."""
        deadline = time.monotonic() + timeout
        while self._kafka is not None and is_joining(self._kafka) and time.monotonic() < deadline:
            self._keep_alive(_RETRY_MS / 1000)

    async def revoked(self, partitions: list[Partition]) -> None:
        """On kafka-python's thread, while ours waits for it: the last moment to commit."""
        wanted: dict[Partition, int] = {}
        try:
            if self._on_revoked is not None and partitions:
                self._revoking = wanted
                self._on_revoked(partitions)
        finally:
            self._revoking = None
            if self._auto_commit and not self._closed:
                wanted |= self._progress.uncommitted(partitions)
            if wanted:
                try:
                    await self._kafka.commit_async(commit_offsets(wanted))
                    self._progress.committed(wanted)
                except Exception as error:
                    logger.warning("group %s: could not commit before a rebalance, so some messages come again: %s",
                                   self.group_id, error)
            self._progress.set_aside(partitions)
            self._give_up(partitions)

    def lost(self, partitions: list[Partition]) -> None:
        """They belong to somebody else by now."""
        self._progress.forget(partitions)
        self._give_up(partitions)

    def _give_up(self, partitions: list[Partition]) -> None:
        """Nothing of them is yielded or committed any more, unless they are ours again after the rebalance:
        kafka-python keeps its position then, which is past what was buffered.
        """
        for partition in partitions:
            offset = self._buffer.offset(partition)
            self._buffer.drop(partition)
            state = self._kafka._subscription.assignment.get(topic_partition(partition))
            if state is not None and offset is not None:
                state.seek(offset)
            if state is not None and state.position is not None:
                self._left_at[partition] = state.position.offset
        self._assigned = [partition for partition in self._assigned if partition not in partitions]
        if self._joined is not None:  # given and taken again within one poll
            self._joined = [partition for partition in self._joined if partition not in partitions] or None

    def assigned(self, partitions: list[Partition]) -> None:
        """On kafka-python's thread; `_begin_with` does the work on ours."""
        states = self._kafka._subscription.assignment
        self._progress.take_back(p for p in partitions if states[topic_partition(p)].has_valid_position)
        self._joined = [*(self._joined or []), *partitions]

    # -- committing -------------------------------------------------------------------------------

    def commit(self, message: Message[Any, Any] | None = None) -> None:
        """Commit the messages in hand and all before them; or all of a partition up to `message`, that one included.

        Returns when the group has it. Raises `CommitFailedError` where the partition is another member's by now,
        `RequestTimeoutError`, `BrokerUnavailableError`.
        """
        if self._closed and self._revoking is None:
            raise ClosedError("the consumer is closed", hint="commit before it is, or inside the with block")
        if message is None:
            self._progress.end_turn()
        elif not isinstance(message, Message):
            raise InvalidArgumentError(f"commit {message!r}", hint="give a message of this consumer, or nothing")
        if self._revoking is None:
            self._end_rebalance(self._connection.timeout)
        among = None
        if message is not None:
            among = [Partition(message.topic, message.partition)]
            if among[0] not in self._assigned:
                raise CommitFailedError(f"commit {message!r}: its partition is not assigned to this consumer")
            self._progress.finish_up_to(message)
        wanted = self._progress.uncommitted(among)
        if self._revoking is not None:
            self._revoking.update(wanted)
        else:
            self._commit(wanted)

    def offsets_to_send(self) -> tuple[dict[Partition, int], Any]:
        """For a transaction: what `commit()` would commit now, and as which member: kafka-python's word for that.

        Raises `CommitFailedError` where partitions of messages that are not committed are another member's by now.
        """
        if self._closed:
            raise ClosedError("the consumer is closed", hint="send its offsets before it is")
        if self._auto_commit:
            raise InvalidArgumentError(
                "the consumer commits by itself, whatever becomes of the transaction",
                hint="client.consumer(..., auto_commit=False)",
            )
        self._start()
        self._progress.end_turn()
        self._end_rebalance(self._connection.timeout)
        offsets, member = self._progress.uncommitted(), self._kafka.group_metadata()
        lost = self._progress.take_lost()
        if lost or (offsets and member.generation_id < 0):
            raise CommitFailedError(
                f"send offsets of group {self.group_id}: with messages that are not committed, "
                f"{', '.join(map(str, lost or offsets))} went to another member",
                hint="leave the transaction, which aborts it; those messages are read again",
            )
        return offsets, member

    def offsets_sent(self, offsets: dict[Partition, int]) -> None:
        """The group has them, by way of a transaction."""
        self._progress.committed(offsets)

    def _commit(self, offsets: dict[Partition, int], timeout: float | None = None) -> None:
        if offsets:
            self._offsets.commit(offsets, timeout)
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

    def _end_of_loop(self) -> None:
        """The loop is done with all it got; whoever leaves the consumer open, or never closes it, has it committed."""
        self._stopping = False
        if self._auto_commit and not self._group_is_ours:
            self._commit_finished("the end of the loop", _LAST_COMMIT_S)

    def _commit_finished(self, when: str, timeout: float) -> None:
        self._progress.end_turn()
        try:
            self._end_rebalance(timeout)
            self._commit(self._progress.uncommitted(), timeout)
        except FlyMQError as error:
            logger.warning("%s: %s, so some messages come again", when, error)

    # -- the end ----------------------------------------------------------------------------------

    def close(self, commit: bool | None = None, timeout: float = _LAST_COMMIT_S) -> None:
        """Commit, leave the group, disconnect; within `timeout` seconds. Harmless a second time.

        `commit` None: commit what is finished if `auto_commit` is on. Who calls this does not say how the loop went, so
        the message in hand is not finished and comes again; with `commit=True` it is, as at the end of a `with` block.
        """
        self.finish(commit, timeout, failed=not commit)

    def finish(self, commit: bool | None, timeout: float, *, failed: bool) -> None:
        """`close`, told whether the message in hand failed."""
        if self._closed:
            return
        deadline = time.monotonic() + timeout
        if self._kafka is not None:
            self._last_commit(commit, timeout, failed=failed)
        self._closed = True
        self._buffer = Buffer()
        if self._kafka is not None:
            bounded(lambda: self._kafka.close(autocommit=False, timeout_ms=timeout * 1000), deadline)
            if self._group_is_ours and self._member:
                bounded(lambda: self._connection.admin().delete_groups([self.group_id]), deadline)
        if self._on_close is not None:
            self._on_close(self)

    def _last_commit(self, commit: bool | None, timeout: float, *, failed: bool) -> None:
        if failed:
            self._progress.give_back()
        if commit or (commit is None and self._auto_commit and not self._group_is_ours):
            self._commit_finished("closing", timeout)

    def __enter__(self) -> Self:
        """A member of the group from here on: what is produced inside the block is seen."""
        try:
            self._join()
        except BaseException:
            if self._kafka is not None:  # `__exit__` is not called then, and the group would wait for us
                self.finish(False, _LAST_COMMIT_S, failed=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(None, _LAST_COMMIT_S, failed=kind is not None)

    def _what(self) -> str:
        return self._topics.pattern if isinstance(self._topics, re.Pattern) else ", ".join(self._topics)

    def __repr__(self) -> str:
        started = f"{len(self._assigned)} partitions" if self._kafka is not None else "not started"
        state = "closed" if self._closed else started
        return f"<Consumer of {self._what()} in group {self.group_id}: {state}>"
