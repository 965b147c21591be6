"""What a broker was asked, for tests to look at."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from flymq.broker.context import RequestContext
from flymq.client.errors import did_you_mean
from flymq.testing.helpers import HELPER_CLIENT_ID
from flymq_protocol.registry import API

# The newest are kept: a test that polls for an hour does not fill the memory.
_KEPT_MAX = 100_000
# The helpers' own, and the probe by which every FlyMQClient, theirs too, sees whether there is a broker.
_LEFT_OUT = (HELPER_CLIENT_ID, "flymq-probe")
_APIS = {api.name for api in API.values()}


class SeenRequest(NamedTuple):
    """A request as it came: `api` is Kafka's name, such as "Produce"."""

    api: str
    version: int
    client_id: str | None
    client_host: str


class RequestLog:
    """The requests of a broker, in the order it took them up."""

    def __init__(self) -> None:
        self._seen: deque[tuple[str, RequestContext]] = deque(maxlen=_KEPT_MAX)

    def saw(self, api: str, ctx: RequestContext) -> None:
        """Called by the dispatcher, on the broker's loop."""
        self._seen.append((api, ctx))

    def of(self, api: str | None = None, client_id: str | None = None) -> list[SeenRequest]:
        """Those of an API, of a client, or all that are not left out. From any thread."""
        if api is not None and api not in _APIS:
            raise ValueError(f"there is no API {api!r}: {did_you_mean(api, _APIS) or 'names are as in Produce'}")
        return [
            SeenRequest(name, ctx.api_version, ctx.client_id, ctx.client_host)
            for name, ctx in self._seen.copy()
            if (api is None or name == api)
            and (ctx.client_id not in _LEFT_OUT if client_id is None else ctx.client_id == client_id)
        ]

    def clear(self) -> None:
        self._seen.clear()
