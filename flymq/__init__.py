"""FlyMQ: a Kafka in one Python package.

`flymq.EmbeddedBroker` runs a broker inside a test; `flymq serve` and `flymq dev` run one in the shell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flymq.version import __version__

if TYPE_CHECKING:
    from flymq.testing.embedded import EmbeddedBroker

__all__ = ["EmbeddedBroker", "__version__"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `flymq version` needs none of it.
    if name == "EmbeddedBroker":
        from flymq.testing.embedded import EmbeddedBroker

        return EmbeddedBroker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
