"""A broker's life: open the store, load, listen; and stop without losing anything."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from flymq.broker.context import RequestContext
from flymq.broker.net.server import Server
from flymq.broker.wiring import make_server, open_engine, wire
from flymq.core.settings import BrokerConfig, host_port
from flymq.env import Env, Token
from flymq.storage.api import Engine, EngineError, StorageError

_log = logging.getLogger("flymq")

_GC_THRESHOLDS = (50_000, 20, 20)
STOP_GRACE_S = 5.0  # SIGTERM to exit: at most 8 s, with the flush


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's loop, or asyncio's where uvloop is absent."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class Broker:
    """One running broker on the running loop: `await start()`, `await stop()`.

    `on_request(name of the API, context)` is told of every request, where tests want to know.
    `addresses` are (host, port) of its listeners, as bound.
    """

    def __init__(
        self,
        config: BrokerConfig,
        data_dir: str | None,
        on_fatal: Callable[[BaseException], None] | None = None,
        on_request: Callable[[str, RequestContext], None] | None = None,
    ) -> None:
        self.config = config
        self.addresses: list[tuple[str, int]] = []
        self.env: Env
        self._data_dir = data_dir
        self._on_request = on_request
        self._on_fatal = on_fatal or (lambda failure: _log.critical("cannot go on: %s", failure))
        self._engine: Engine
        self._server: Server

    async def start(self) -> None:
        """Load everything, then listen: whoever can connect can work. Raises `EngineError`."""
        self.env = env = Env(asyncio.get_running_loop())
        try:
            self._engine = engine = open_engine(env, self.config, self._data_dir)
        except EngineError:
            env.close()
            raise
        try:
            self.services = wire(env, self.config, engine, self._on_fatal)
            self.services.settings.load()
            self.services.features.load()
            await _wait(self.services.topics.load())
            topics = self.services.topics
            self.services.groups.load(lambda topic_id: topics.by_id(topic_id) is not None)
            self.services.transactions.load()
            engine.logs.sweep({topic.id for topic in topics.all()})
            self._server = make_server(self.services, self._on_request)
            engine.logs.on_relief = self.services.validation.on_relief = self._server.relieved
            for listener in self.config.listeners:
                port = await self._server.listen(listener.host, listener.port)
                self.services.placement.listener_bound(listener.name, port)
                self.addresses.append((listener.host, port))
            self.services.compaction.start()
        except StorageError as failure:
            await self._abandon_start()
            raise EngineError(f"cannot load the data folder: {failure}", "restore it from a copy") from failure
        except BaseException:  # a cancelled start, for one
            await self._abandon_start()
            raise

    async def _abandon_start(self) -> None:
        if hasattr(self, "_server"):
            await self._server.close(0)
        await _wait(self._engine.close())
        self.env.close()

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Stop accepting, answer what is in flight, flush, release the data folder."""
        self._server.stop_accepting()
        self.services.retention.close()
        self.services.transactions.close()
        self.services.compaction.close()
        self.services.partitions.close()
        self.services.groups.close()
        await self._server.close(grace_s)
        failure = await _wait(self._engine.close(), raising=False)
        if failure is not None:
            _log.error("the data folder was not closed cleanly: %s", failure)
        self.env.close()


async def _wait(token: Token, *, raising: bool = True) -> Any:
    """A token's result, in a coroutine; raises what the token failed with."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    token.then(lambda result: None if future.done() else future.set_result(result))
    result = await future
    if raising and isinstance(result, Exception):
        raise result
    return result


def run(config: BrokerConfig, *, data_dir: str | None, started_at: float | None = None) -> int:
    """Run a broker in the foreground until SIGTERM or SIGINT; the process's exit code.

    0 after a clean stop, 1 where it could not start or could not go on. `started_at` is the
    `time.time()` from which the ready line counts.
    """
    logging.basicConfig(level=logging.WARNING, format="flymq: %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    loop = new_event_loop()
    try:
        return loop.run_until_complete(_serve(config, data_dir, started_at or time.time()))
    finally:
        loop.close()


async def _serve(config: BrokerConfig, data_dir: str | None, started_at: float) -> int:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    exit_code = 0

    def fatal(failure: BaseException) -> None:
        nonlocal exit_code
        exit_code = 1
        _log.critical("cannot go on: %s", failure)
        stopping.set()

    broker = Broker(config, data_dir, fatal)
    gc.disable()  # what is being loaded is no garbage: looking for it doubles the time for many partitions
    try:
        await broker.start()
    except EngineError as failure:
        click.echo(f"flymq: {failure}\n  {failure.hint}", err=True)
        return 1
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)
    # What is loaded stays: a collection that walks all of it would stop the loop for nothing.
    gc.enable()
    gc.collect()
    gc.freeze()
    # What waits (thousands of parked requests) is young and lives on: looking through it every 700
    # allocations finds nothing and takes a twentieth of the broker's time.
    gc.set_threshold(*_GC_THRESHOLDS)
    where = ", ".join(f"kafka://{host_port(host or '0.0.0.0', port)}" for host, port in broker.addresses)
    click.echo(f"ready in {(time.time() - started_at) * 1000:.0f} ms · {where}")
    await stopping.wait()
    await broker.stop()
    return exit_code
