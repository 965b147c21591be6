"""Sending many records with flat memory: so many, and so many bytes, are on their way at a time."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

from flymq_cli.errors import PARTLY, CliError, exit_code, hint_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flymq.client.messages import RecordMetadata
    from flymq.client.producer import Producer, SendFuture
    from flymq_cli.jsonl import Record

_RECORDS_MAX = 5_000
_BYTES_MAX = 8 << 20
# What a record costs besides its bytes: the future and what kafka-python keeps.
_OVERHEAD = 1_000
_GIVE_UP_S = 1.0


@contextlib.contextmanager
def closed_after(producer: Producer) -> Iterator[Producer]:
    """Closes it. What closing has to say is heard only where nothing went wrong before."""
    try:
        yield producer
    except BaseException:
        with contextlib.suppress(Exception):
            producer.close(_GIVE_UP_S)
        raise
    producer.close()


class Sender:
    """Sends to one topic; `acknowledged` counts what the broker has, in order."""

    def __init__(
        self, producer: Producer, topic: str, timeout: float,
        on_ack: Callable[[RecordMetadata], object] | None = None,
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._timeout = timeout
        self._on_ack = on_ack
        self._outstanding: deque[tuple[SendFuture, int]] = deque()
        self._bytes = 0
        self.acknowledged = 0

    def send(self, record: Record) -> None:
        """Raises what became of an earlier one, if that failed."""
        future = self._producer.send(
            self._topic, record.value, key=record.key, partition=record.partition, headers=record.headers,
            timestamp=record.timestamp,
        )
        size = _OVERHEAD + len(record.value or b"") + len(record.key or b"")
        self._outstanding.append((future, size))
        self._bytes += size
        while len(self._outstanding) > _RECORDS_MAX or self._bytes > _BYTES_MAX:
            self._settle()

    @contextlib.contextmanager
    def finished(self, done: Callable[[int], str]) -> Iterator[None]:
        """Within, records are sent; at the end, all are acknowledged. Where something failed, then or now, after some
        had arrived, that is raised as partly done: `done(count)` says what was before that.
        """
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        try:
            self.finish()
        except Exception as error:
            failure = failure or error
        if failure is None:
            return
        if not self.acknowledged or exit_code(failure) is None:
            raise failure
        hint = "; ".join(filter(None, (done(self.acknowledged), hint_of(failure))))
        raise CliError(str(failure), hint, PARTLY) from failure

    def settle_done(self) -> None:
        """Count what is acknowledged by now; waits for nothing."""
        while self._outstanding and self._outstanding[0][0].done():
            self._settle()

    def finish(self) -> None:
        """Wait until all is acknowledged. Raises the first failure; the others are still waited for and counted, all
        of them for one time-out: a broker that is gone does not get it for each.
        """
        failure: Exception | None = None
        deadline = time.monotonic() + self._timeout
        while self._outstanding:
            try:
                self._settle(max(0.0, deadline - time.monotonic()))
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def _settle(self, timeout: float | None = None) -> None:
        future, size = self._outstanding.popleft()
        self._bytes -= size
        acknowledged = future.result(self._timeout if timeout is None else timeout)
        self.acknowledged += 1
        if self._on_ack is not None:
            self._on_ack(acknowledged)
