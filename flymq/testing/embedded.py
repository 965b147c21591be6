"""A real broker inside a test: own thread, own loop, memory engine, a port of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from flymq.broker.app import Broker, new_event_loop
from flymq.core.catalog import NewTopic, TopicError
from flymq.core.settings import BrokerConfig, to_text
from flymq.env import gather

_START_TIMEOUT_S = 30.0
_STOP_GRACE_S = 1.0
_HOST = "127.0.0.1"
# Nobody wants to wait for more members in a test.
_DEFAULTS = {"group.initial.rebalance.delay.ms": "0"}


class EmbeddedBroker:
    """A broker for the duration of a `with` block, or from `start()` to `stop()`.

        with flymq.EmbeddedBroker(topics={"orders": 3}) as broker:
            Producer({"bootstrap.servers": broker.bootstrap_servers})

    `topics` maps names to partition counts, created before the broker is ready. `config` holds
    settings by Kafka's names; rebalances are not delayed unless it says so. `data_dir` keeps the
    data in that folder instead of memory. It binds port 0 itself and reports what it got, installs
    no signal handlers and leaves no thread or socket behind.

    Raises `EngineError` where it cannot start (with `data_dir`: in use, not writable), `SettingError`
    for a setting it does not know, ValueError for a topic that cannot be created.
    """

    def __init__(
        self,
        topics: Mapping[str, int] | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        data_dir: str | None = None,
        port: int = 0,
    ) -> None:
        self._topics = dict(topics or {})
        self._config = BrokerConfig(
            [
                {name: (text, "EmbeddedBroker") for name, text in {**_DEFAULTS, "listeners": f"PLAINTEXT://{_HOST}:{port}"}.items()},
                {name: (to_text(value), "EmbeddedBroker(config=...)") for name, value in (config or {}).items()},
            ]
        )
        self._data_dir = data_dir
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self.host = _HOST
        self.port = 0

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, as every Kafka client wants it."""
        return f"{self.host}:{self.port}"

    def start(self) -> Self:
        """Return once clients can connect."""
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

    # -- the broker's thread ----------------------------------------------------------------------

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
        broker = Broker(self._config, self._data_dir)
        await broker.start()
        try:
            await self._create_topics(broker)
            self.port = broker.addresses[0][1]
            self._ready.set()
            await self._stopping.wait()
        finally:
            await broker.stop(_STOP_GRACE_S)

    async def _create_topics(self, broker: Broker) -> None:
        topics = broker.services.topics
        wanted = [NewTopic(name, count) for name, count in self._topics.items() if topics.get(name) is None]
        done: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        gather([topics.create(new) for new in wanted]).then(done.set_result)
        for result in await done:
            if isinstance(result, TopicError):
                raise ValueError(result.message)
