"""`FlyMQClient`: what people use first."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from flymq.client.connection import Connection


class FlyMQClient:
    """A thin client over kafka-python, for FlyMQ or any Kafka."""

    def __init__(
        self,
        bootstrap_servers: str | Iterable[str] = "localhost:9092",
        *,
        client_id: str = "flymq-client",
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
        auto_create_topics: bool = True,
        sasl: tuple[str, str, str] | None = None,
        tls: bool | str | ssl.SSLContext | None = None,
        **kafka: Any,
    ) -> None:
        self.connection = Connection(
            bootstrap_servers,
            client_id=client_id,
            timeout=timeout,
            connect_timeout=connect_timeout,
            auto_create_topics=auto_create_topics,
            sasl=sasl,
            tls=tls,
            extra=kafka,
        )

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
