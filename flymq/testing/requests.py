"""What a broker was asked, for tests to look at."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

# The newest are kept: a test that polls for an hour does not fill the memory.
_KEPT_MAX = 100_000


class SeenRequest(NamedTuple):
    """A request as it came: `api` is Kafka's name, such as "Produce"."""

    api: str
    version: int
    client_id: str | None
    client_host: str


class RequestLog:
    """The requests of a broker, in the order it took them up."""

    def __init__(self) -> None:
        self._seen: deque[SeenRequest] = deque(maxlen=_KEPT_MAX)

    def saw(self, api: str, ctx: Any) -> None:
        """Called by the dispatcher, on the broker's loop."""
        self._seen.append(SeenRequest(api, ctx.api_version, ctx.client_id, ctx.client_host))

    def of(self, api: str | None = None, client_id: str | None = None) -> list[SeenRequest]:
        """Those of an API, of a client, or all. From any thread."""
        return [
            seen
            for seen in self._seen.copy()
            if (api is None or seen.api == api) and (client_id is None or seen.client_id == client_id)
        ]

    def clear(self) -> None:
        self._seen.clear()
