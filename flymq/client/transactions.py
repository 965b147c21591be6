"""Transactions of a producer: all that is sent in one, and the offsets that go with it, or nothing."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from flymq.client.arguments import seconds
from flymq.client.consumer import Consumer
from flymq.client.errors import (
    FlyMQError,
    InvalidArgumentError,
    ProducerFencedError,
    RequestTimeoutError,
    TransactionError,
    of_code,
    translate,
)
from flymq.client.kafka_python import begin_epoch, commit_offsets, fail_whole_transactions
from flymq.client.messages import Partition

logger = logging.getLogger("flymq.client")

_RETRY_MS = 20
# kafka-python wraps some of the broker's errors, and leaves their numbers to the text.
_CODE = re.compile(r"\[Error (\d+)\]")


def settings_of(transactional_id: object, timeout: float) -> dict[str, Any]:
    """What kafka-python wants for a transactional producer. Raises `InvalidArgumentError`."""
    if not isinstance(transactional_id, str) or not transactional_id:
        raise InvalidArgumentError(f"{transactional_id!r} is no transactional_id", hint="give a str")
    return {
        "transactional_id": transactional_id,
        "transaction_timeout_ms": int(seconds("transaction_timeout", timeout) * 1000),
        "retry_backoff_ms": _RETRY_MS,  # else 100 for each request of a transaction that has to wait for the last one
    }


class Coordination:
    """The transactional side of a KafkaProducer; waits end after `timeout` seconds, every error is a `FlyMQError`.

    When it is made, earlier producers of the id are fenced, and what they left open is aborted.
    Raises `InvalidArgumentError` for a time-out that the broker does not take, `RequestTimeoutError`,
    `UnsupportedError`, `AuthorizationError`.
    """

    def __init__(self, kafka: Any, timeout: float) -> None:
        self.transactional_id = str(kafka.config["transactional_id"])
        self._kafka = kafka
        self._manager = kafka._transaction_manager
        self._timeout = timeout
        self._lock = threading.Lock()
        self.open = False
        """Whether records may be sent."""
        fail_whole_transactions(kafka)
        try:
            self._do(f"begin as producer {self.transactional_id}", self._manager.initialize_transactions)
        except InvalidArgumentError as error:
            hint = "a broker takes a transaction_timeout of at most its transaction.max.timeout.ms"
            raise InvalidArgumentError(error.message, hint=hint, code=error.code) from error.__cause__

    def begin(self) -> None:
        """Raises `TransactionError` where one is open, or the last one has not ended yet; `ProducerFencedError`."""
        what = f"begin a transaction of {self.transactional_id}"
        with self._lock:  # of two threads, one
            if self.open:
                raise TransactionError(
                    f"{what}: one is open", hint="end that first: they do not nest, and a producer has one at a time"
                )
            self._check(what)
            if self._manager._current_state.name != "READY":
                raise TransactionError(f"{what}: the last one has not ended yet", hint="make a new producer")
            self._call(what, self._manager.begin_transaction)
            self.open = True

    def commit(self) -> None:
        """Commit what is open; where that fails and it is not too late for it, abort it. Raises the reason."""
        what = f"commit the transaction of {self.transactional_id}"
        if not self.open:
            raise TransactionError(f"{what}: it was aborted, as the producer was closed", hint="close it afterwards")
        self.open = False
        try:
            # Before it is too late to abort.
            self._call(what, lambda: self._kafka.flush(self._timeout))
            self._check(what)
        except FlyMQError as error:
            raise self._aborted(error) from error.__cause__
        try:
            self._do(what, self._manager.begin_commit)
        except FlyMQError as error:
            if self._manager.has_abortable_error():
                raise self._aborted(error) from error.__cause__
            if isinstance(error, RequestTimeoutError):
                hint = "a new producer of this transactional_id settles whether it was"
                raise RequestTimeoutError(error.message, hint=hint) from error.__cause__
            raise

    def _aborted(self, because: FlyMQError) -> FlyMQError:
        """Abort; what to tell of it: that the producer is fenced, which is more, or else why it was."""
        if self._manager.has_fatal_error():
            return because
        try:
            self.abort()
        except ProducerFencedError as fenced:
            return fenced
        except FlyMQError as error:
            logger.warning("%s: the broker will, in time", error)
        return because

    def abort(self) -> None:
        """Undo what is open. Raises `ProducerFencedError`, `RequestTimeoutError`."""
        what = f"abort the transaction of {self.transactional_id}"
        self.open = False
        self._do(what, self._manager.begin_abort)
        # kafka-python would send them with the next one.
        self._manager._pending_txn_offset_commits.clear()
        self._do(what, lambda: begin_epoch(self._manager))

    def close(self, timeout: float) -> None:
        """Before its KafkaProducer is closed: abort what is open, if that goes within `timeout` seconds; else the
        broker does, in time.
        """
        if self.open:
            self._timeout = timeout
            with contextlib.suppress(FlyMQError):
                self._do("abort", self._manager.begin_abort)
        self.open = False

    def send_offsets(self, offsets: Mapping[Partition, int], member: Any) -> None:
        """Let the commit commit them too. `member`: kafka-python's ConsumerGroupMetadata, so that the group can refuse
        one that has lost its partitions. Raises `CommitFailedError`: the transaction is to be aborted.
        """
        self._do(
            f"commit offsets of group {member.group_id} in the transaction of {self.transactional_id}",
            lambda: self._manager.send_offsets_to_transaction(commit_offsets(offsets), member),
        )

    def failure(self, what: str) -> FlyMQError | None:
        """Why nothing can be sent any more: in this transaction, or with this producer."""
        error = self._manager.last_error
        return None if error is None else _translated(error, what)

    def _check(self, what: str) -> None:
        if (failure := self.failure(what)) is not None:
            raise failure

    def _call(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            # kafka-python says "in an error state": what it was says more.
            raise self.failure(what) or _translated(error, what) from error

    def _do(self, what: str, begin: Callable[[], Any]) -> None:
        """Begin something that kafka-python's thread does, and wait for its end: its own methods wait for ever."""
        result = self._call(what, begin)
        self._kafka._sender.wakeup()
        if not self._call(what, lambda: result.wait(self._timeout * 1000)):
            raise RequestTimeoutError(f"{what}: no end of it in {self._timeout:g} s")


def _translated(error: BaseException, what: str) -> FlyMQError:
    if not hasattr(error, "errno") and (code := _CODE.search(str(error))):
        return of_code(int(code[1]), what)
    return translate(error, what)


class Transaction:
    """What is sent by its producer within `with` is read by others all together, or not at all.

        with client.producer(transactional_id="bills-1") as producer:
            with producer.transaction():
                producer.send("bills", "one")
                producer.send("orders", "done")

    Leaving the block commits; an exception that leaves it aborts, and goes on. Whoever reads with
    isolation="committed" sees nothing of it before it is committed.

    Entering raises `TransactionError` where another one is open. Leaving raises the reason why it could not be
    committed, and has aborted it then; only after a `RequestTimeoutError` it may have been committed all the same.
    `ProducerFencedError`: it is aborted, and this producer of no use any more.
    """

    def __init__(self, coordination: Coordination) -> None:
        self._coordination = coordination
        self._running = False
        self._sent: list[tuple[Consumer, dict[Partition, int]]] = []

    def send_offsets(self, consumer: Consumer) -> None:
        """Commit together with what is sent what `consumer.commit()` would commit now: the messages in hand, and all
        before them. The consumer has auto_commit=False.

        Raises `CommitFailedError` where partitions of messages that are not committed yet have gone to another member:
        let it leave the block, which aborts; the other one reads them.
        """
        self._check_running()
        offsets, member = consumer.offsets_to_send()
        if offsets:
            self._coordination.send_offsets(offsets, member)
            self._sent.append((consumer, offsets))

    def abort(self) -> None:
        """Undo it now, without an exception; nothing more can be sent in it."""
        self._check_running()
        self._running = False
        self._coordination.abort()

    def _check_running(self) -> None:
        if not self._running:
            raise TransactionError("the transaction is not open", hint="use it within its `with`, before it is aborted")

    def __enter__(self) -> Self:
        self._coordination.begin()
        self._running = True
        self._sent = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._running:
            return
        self._running = False
        if error is None:
            self._coordination.commit()
            for consumer, offsets in self._sent:
                consumer.offsets_sent(offsets)
            return
        if self._coordination.open:
            try:
                self._coordination.abort()
            except FlyMQError as failure:  # theirs is told
                logger.warning("%s: the broker will, in time", failure)
