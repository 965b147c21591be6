"""A client library at work in a process of its own, called from a scenario.

`compat_tests.drivers` tells how they talk.
"""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

from compat_tests.broker_process import environment
from compat_tests.drivers.catalog import Client

CALL_TIMEOUT_S = 90.0
_STDERR_TOLD = 4000


class Record(NamedTuple):
    """One to send: what is None is left to the library."""

    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    timestamp: int | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Got(NamedTuple):
    """One as a consumer got it. `timestamp` in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class DriverError(Exception):
    """The library failed; `code` is Kafka's name of the error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Driver:
    """One driver, from `with` to its end. `bootstrap` is the broker's "host:port"."""

    def __init__(self, client: Client, bootstrap: str) -> None:
        self.client = client
        self._command = [*client.command(), bootstrap]

    def __enter__(self) -> Self:
        self._stderr = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env=environment(),
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:  # it still closes what a failed scenario left open
                process.kill()
        self._stderr.close()

    def call(self, do: str, **parameters: Any) -> Any:
        """The result. Raises `DriverError`; AssertionError where the driver itself fails or is silent."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        given = {name: value for name, value in parameters.items() if value is not None}
        watchdog = threading.Timer(CALL_TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            process.stdin.write(json.dumps({"do": do, **given}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watchdog.cancel()
        assert line, (
            f"the driver of {self.client.name} ended, or said nothing for {CALL_TIMEOUT_S:g} s, in {do}: {self.said}"
        )
        answer = json.loads(line)
        if "error" in answer:
            raise DriverError(answer["error"], answer.get("message", ""))
        return answer["result"]

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def said(self) -> str:
        """The end of what it wrote to stderr."""
        self._stderr.seek(0)
        return self._stderr.read()[-_STDERR_TOLD:]

    # -- calls with records: bytes here, base64 there ---------------------------------------------

    def send(self, producer: str, topic: str, records: Iterable[Record]) -> list[tuple[int, int | None, int | None]]:
        """(partition, offset, timestamp) of each."""
        given = [
            {
                "key": _text(record.key), "value": _text(record.value), "partition": record.partition,
                "timestamp": record.timestamp, "headers": [[name, _text(value)] for name, value in record.headers],
            }
            for record in records
        ]  # fmt: skip
        return [tuple(row) for row in self.call("send", producer=producer, topic=topic, records=given)]

    def poll(self, consumer: str, count: int = 500, wait_ms: int = 300) -> list[Got]:
        rows: Sequence[Any] = self.call("poll", consumer=consumer, count=count, wait_ms=wait_ms)
        return [
            Got(topic, partition, offset, timestamp, _bytes(key), _bytes(value),
                tuple((name, _bytes(text)) for name, text in headers))
            for topic, partition, offset, timestamp, key, value, headers in rows
        ]  # fmt: skip


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
