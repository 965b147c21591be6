"""A real broker inside a test: `EmbeddedBroker` on a thread of its own, `AsyncEmbeddedBroker` on the running loop.

Memory engine, a port of its own, no signal handlers; nothing is left when it stops.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from functools import partial, wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from flymq.broker.app import new_event_loop
from flymq.testing.blocked import BlockedLoop
from flymq.testing.helpers import BrokerHelpers
from flymq.testing.requests import SeenRequest
from flymq.testing.running import HOST, RunningBroker, broker_config
from flymq.testing.topics import checked_topics

if TYPE_CHECKING:
    from flymq.client.client import FlyMQClient

P = ParamSpec("P")
R = TypeVar("R")

_START_TIMEOUT_S = 30.0


class EmbeddedBroker(BrokerHelpers):
    """A broker for the duration of a `with` block, or from `start()` to `stop()`.

        with flymq.EmbeddedBroker(topics={"orders": 3}) as broker:
            Producer({"bootstrap.servers": broker.bootstrap_servers})
            broker.expect("orders", 1)

    `topics` maps names to partition counts, created before the broker is ready. `config` holds
    settings by Kafka's names; rebalances are not delayed unless it says so. `data_dir` keeps the
    data in that folder instead of memory. It binds port 0 itself and reports what it got, installs
    no signal handlers and leaves no thread or socket behind. Started again, it is at the same port:
    clients that were connected find it, with what it had if there is a `data_dir`, else empty.

    Raises `EngineError` where it cannot start (with `data_dir`: in use, not writable), `SettingError`
    for a setting it does not know, ValueError for a topic that cannot be created, TypeError for topics or config
    that are no mapping, RuntimeError where it runs already.
    """

    def __init__(
        self,
        topics: Mapping[str, int] | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        data_dir: str | None = None,
        port: int = 0,
    ) -> None:
        self._topics = checked_topics(topics, "EmbeddedBroker(topics=...)")
        self._configure = partial(broker_config, {} if config is None else config, who="EmbeddedBroker")
        self._config = self._configure(port)
        self._data_dir = data_dir
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._running: RunningBroker
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self.host = HOST
        self.port = port

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, as every Kafka client wants it. RuntimeError before the first start."""
        if not self.port:
            self._started()
        return f"{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        """Between `start` and `stop`."""
        return self._thread is not None

    def start(self) -> Self:
        """Return once clients can connect."""
        if self._thread is not None:
            raise RuntimeError(f"the broker runs already, at {self.bootstrap_servers}")
        if self.port:
            self._config = self._configure(self.port)
        self._ready.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._run, name="flymq-embedded", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT_S):
            raise TimeoutError(f"the broker did not start within {_START_TIMEOUT_S:.0f} s")
        if self._failure is not None:
            self._thread.join()
            self._thread = None
            raise self._failure
        return self

    def stop(self) -> None:
        """Close every connection and end the thread. Harmless where it does not run."""
        self._close_helper()
        thread, self._thread = self._thread, None
        if thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    if not TYPE_CHECKING:  # which tells by itself

        async def __aenter__(self):
            raise TypeError("EmbeddedBroker is for `with`; for `async with` there is AsyncEmbeddedBroker")

        __aexit__ = __aenter__

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create those that are missing: name -> partitions. Raises ValueError for one that can't be."""
        wanted = checked_topics(topics, "create_topics()")
        self._on_loop(lambda running: running.create(wanted))

    def wipe(self) -> None:
        """As if just started: no topics, groups, offsets, and no requests seen.

        Clients stay connected: producers may go on, members find themselves out of their groups.
        """
        self._close_helper()  # it knows the topics that go: how many partitions they had
        self._on_loop(RunningBroker.wipe)

    def requests(self, api: str | None = None, *, client_id: str | None = None) -> list[SeenRequest]:
        """What the broker was asked since it started or was wiped: of an API ("Produce"), of a client, or all.

        Left out are what these helpers asked themselves, the probe with which a `FlyMQClient` begins, and what is
        older than the last 100,000.

            assert not broker.requests("OffsetCommit")
        """
        return self._started().requests.of(api, client_id)

    # -- the broker's thread ----------------------------------------------------------------------

    def _started(self) -> RunningBroker:
        if self._thread is None:
            raise RuntimeError("the broker does not run: call start(), or use it with `with`")
        return self._running

    def _client(self) -> FlyMQClient:
        self._started()
        return super()._client()

    def _on_loop(self, work: Callable[[RunningBroker], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(work(self._started()), self._loop).result(_START_TIMEOUT_S)

    def _run(self) -> None:
        loop = self._loop = new_event_loop()
        try:
            loop.run_until_complete(self._serve())
        except BaseException as failure:  # whatever it is, `start` raises it in the caller's thread
            self._failure = failure
        finally:
            loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        self._running = RunningBroker(self._config, self._data_dir)
        self.port = await self._running.start(self._topics)
        self._ready.set()
        try:
            await self._stopping.wait()
        finally:
            await self._running.stop()


class _HelpersAt(BrokerHelpers):
    def __init__(self, broker: AsyncEmbeddedBroker) -> None:
        self._broker = broker

    @property
    def bootstrap_servers(self) -> str:
        return self._broker.bootstrap_servers

    def _client(self) -> FlyMQClient:
        self._broker._started()
        return super()._client()


def _awaited(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The helper of the same name, on a thread: the loop has a broker to run."""

    @wraps(method)
    async def call(self: AsyncEmbeddedBroker, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self._helpers, *args, **kwargs)

    return call  # type: ignore[return-value]  # wraps keeps the method's own type


class AsyncEmbeddedBroker:
    """`EmbeddedBroker` on the running loop; the same arguments, the same helpers, awaited.

        async with flymq.AsyncEmbeddedBroker(topics={"orders": 3}) as broker:
            producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)

    What blocks this loop, a synchronous client for one, blocks the broker: it would wait for ever.
    """

    def __init__(
        self,
        topics: Mapping[str, int] | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        data_dir: str | None = None,
        port: int = 0,
    ) -> None:
        self._topics = checked_topics(topics, "AsyncEmbeddedBroker(topics=...)")
        self._configure = partial(broker_config, {} if config is None else config, who="AsyncEmbeddedBroker")
        self._config = self._configure(port)
        self._data_dir = data_dir
        self._running: RunningBroker | None = None
        self._helpers = _HelpersAt(self)
        self._blocked: BlockedLoop
        self.host = HOST
        self.port = port

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, as every Kafka client wants it. RuntimeError before the first start."""
        if not self.port:
            self._started()
        return f"{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        """Between `start` and `stop`."""
        return self._running is not None

    async def start(self) -> Self:
        """Return once clients can connect."""
        if self._running is not None:
            raise RuntimeError(f"the broker runs already, at {self.bootstrap_servers}")
        if self.port:
            self._config = self._configure(self.port)
        running = RunningBroker(self._config, self._data_dir)
        self.port = await running.start(self._topics)
        self._running = running
        self._blocked = BlockedLoop()
        return self

    async def stop(self) -> None:
        """Close every connection. Harmless where it does not run."""
        await asyncio.to_thread(self._helpers._close_helper)
        running, self._running = self._running, None
        if running is not None:
            self._blocked.close()
            await asyncio.sleep(0)  # asyncio forgets a connection that it is accepting while its listener closes
            await running.stop()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._running is not None:
            self._blocked.explain(error)
        await self.stop()

    if not TYPE_CHECKING:  # which tells by itself

        def __enter__(self):
            raise TypeError("AsyncEmbeddedBroker is for `async with`; for `with` there is EmbeddedBroker")

        __exit__ = __enter__

    def _started(self) -> RunningBroker:
        if self._running is None:
            raise RuntimeError("the broker does not run: await start(), or use it with `async with`")
        return self._running

    async def create_topics(self, topics: Mapping[str, int]) -> None:
        """See `EmbeddedBroker.create_topics`."""
        await self._started().create(checked_topics(topics, "create_topics()"))

    async def wipe(self) -> None:
        """See `EmbeddedBroker.wipe`."""
        running = self._started()
        await asyncio.to_thread(self._helpers._close_helper)
        await running.wipe()

    def requests(self, api: str | None = None, *, client_id: str | None = None) -> list[SeenRequest]:
        """See `EmbeddedBroker.requests`."""
        return self._started().requests.of(api, client_id)

    seed = _awaited(BrokerHelpers.seed)
    records = _awaited(BrokerHelpers.records)
    expect = _awaited(BrokerHelpers.expect)
    committed = _awaited(BrokerHelpers.committed)
    lag = _awaited(BrokerHelpers.lag)
    wait_for_group = _awaited(BrokerHelpers.wait_for_group)
