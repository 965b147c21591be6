"""Where a broker's settings come from: file, environment, flags."""

from __future__ import annotations

from flymq.core.settings import BrokerConfig

__all__ = ["BrokerConfig"]
