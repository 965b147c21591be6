"""Listeners, and what all their connections share."""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections import Counter

from flymq.broker.dispatch import Dispatcher
from flymq.broker.net.connection import Connection
from flymq.env import Env
from flymq.runtime.partitions import Partitions
from flymq.storage.api import EngineError

_log = logging.getLogger("flymq.server")

_SCRATCH_BYTES = 256 * 1024
_BACKLOG = 1024
_SWEEPS = 10  # idle connections are looked for this often in connections.max.idle.ms
_SWEEP_MS_MAX = 30_000


class Server:
    """Accepts connections; knows all of them.

    `scratch` is the buffer that every connection between frames reads into: a callback uses up what
    it has read before the next one reads.
    """

    def __init__(
        self,
        env: Env,
        dispatcher: Dispatcher,
        partitions: Partitions,
        *,
        request_bytes_max: int,
        slots_max: int,
        idle_ms_max: int,
        send_buffer_bytes: int = -1,
    ) -> None:
        self.dispatcher = dispatcher
        self.partitions = partitions
        self.request_bytes_max = request_bytes_max
        self.slots_max = slots_max
        self.connections_max = 2**31 - 1
        self.connections_per_host_max = 2**31 - 1
        self.send_buffer_bytes = send_buffer_bytes
        self.scratch = memoryview(bytearray(_SCRATCH_BYTES))
        self.connections: set[Connection] = set()
        self.of_host: Counter[str] = Counter()
        self.stalled: set[Connection] = set()
        self._env = env
        self._idle_ms_max = idle_ms_max
        self._sweep_ms = _SWEEP_MS_MAX if idle_ms_max < 0 else max(1, min(_SWEEP_MS_MAX, idle_ms_max // _SWEEPS))
        self._listeners: list[asyncio.Server] = []
        self.is_accepting = True
        # Read by every callback of every connection; as fine as idle connections need.
        self.tick_ms = env.tick_ms()
        self._sweep_timer = env.call_in(self._sweep_ms, self._sweep)

    async def listen(self, host: str, port: int) -> int:
        """Bind and accept; the port that was bound. Raises `EngineError` with a hint."""
        try:
            listener = await self._env.loop.create_server(
                lambda: Connection(self), host or None, port, backlog=_BACKLOG, reuse_address=True
            )
        except OSError as failure:
            raise _why_not_bound(host, port, failure) from failure
        self._listeners.append(listener)
        bound: int = listener.sockets[0].getsockname()[1]
        return bound

    # -- connections ------------------------------------------------------------------------------

    def admit(self, connection: Connection, host: str) -> bool:
        """Whether a connection from this address may stay; then it is one of `connections`."""
        if len(self.connections) >= self.connections_max:
            _log.info("a connection too many, closing it: max.connections, or the files this process may open")
            return False
        if self.of_host[host] >= self.connections_per_host_max:
            _log.info("a connection of %s too many, closing it: max.connections.per.ip", host)
            return False
        self.connections.add(connection)
        self.of_host[host] += 1
        return True

    def forget(self, connection: Connection, host: str) -> None:
        """It is closed."""
        self.stalled.discard(connection)
        if connection in self.connections:
            self.connections.discard(connection)
            self.of_host[host] -= 1
            if not self.of_host[host]:
                del self.of_host[host]

    def relieved(self) -> None:
        """The disk has caught up: go on reading."""
        for connection in list(self.stalled):
            connection.resume()

    def _sweep(self) -> None:
        self.tick_ms = now_ms = self._env.tick_ms()
        for connection in list(self.connections):
            connection.note_progress()
            idle_ms = now_ms - connection.used_at_ms
            if idle_ms > self._sweep_ms:
                connection.shrink()
            if 0 <= self._idle_ms_max < idle_ms:
                connection.close_idle()
        self._sweep_timer = self._env.call_in(self._sweep_ms, self._sweep)

    def stop_accepting(self) -> None:
        self.is_accepting = False
        for listener in self._listeners:
            listener.close()

    async def close(self, grace_s: float) -> None:
        """Close every connection, once it has its answers; at the latest after `grace_s`."""
        self._sweep_timer.cancel()
        self.stop_accepting()
        deadline = time.monotonic() + grace_s
        while any(connection.is_waiting for connection in self.connections) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.001)  # once in a broker's life; an event would cost every answer
        for connection in list(self.connections):
            connection.close()
        await asyncio.sleep(0)
        for connection in list(self.connections):
            connection.abort()
        await asyncio.sleep(0)


def _why_not_bound(host: str, port: int, failure: OSError) -> EngineError:
    where = f"{host or '*'}:{port}"
    if failure.errno == errno.EADDRINUSE:
        return EngineError(
            f"cannot listen on {where}: the port is taken",
            "stop the other broker or server, or choose another port: --listen HOST:PORT",
        )
    if failure.errno == errno.EACCES:
        return EngineError(f"cannot listen on {where}: not permitted", "choose a port above 1023: --listen HOST:PORT")
    return EngineError(f"cannot listen on {where}: {failure.strerror or failure}", "check the host: --listen HOST:PORT")
