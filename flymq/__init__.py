"""FlyMQ: a Kafka in one Python package.

`flymq.FlyMQClient` talks to it, or to any Kafka; `flymq.EmbeddedBroker` runs a broker inside a test; `flymq serve`
and `flymq dev` run one in the shell.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from flymq.version import __version__

if TYPE_CHECKING:
    from flymq.client.aio import AsyncFlyMQClient
    from flymq.client.client import FlyMQClient
    from flymq.client.errors import FlyMQError
    from flymq.testing.embedded import AsyncEmbeddedBroker, EmbeddedBroker

__all__ = ["AsyncEmbeddedBroker", "AsyncFlyMQClient", "EmbeddedBroker", "FlyMQClient", "FlyMQError", "__version__"]

# Imported on first use: `flymq version` needs none of it, a test needs only the broker.
_MODULES = {
    "AsyncEmbeddedBroker": "flymq.testing.embedded",
    "AsyncFlyMQClient": "flymq.client.aio",
    "EmbeddedBroker": "flymq.testing.embedded",
    "FlyMQClient": "flymq.client.client",
    "FlyMQError": "flymq.client.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
