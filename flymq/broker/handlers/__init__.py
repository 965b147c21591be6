"""One module per API key, named after it; ApiVersions is computed from this table.

A module loads when its API is first asked for. It has `handle(ctx, request, services)`, synchronous,
which returns the response, a `Pending`, an `OnLoan`, a `Hangup`, or None where the protocol wants no
answer.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from flymq_protocol.registry import API, load


class HandlerRow:
    """An API that this broker serves, from `min_version` to `max_version`.

    `advertise_min` is lower where Kafka advertises more than it serves.
    """

    __slots__ = ("_loaded", "advertise_min", "key", "max_version", "min_version", "name")

    def __init__(self, key: int, *, advertise_min: int | None = None) -> None:
        row = API[key]
        self.key = key
        self.name = row.name
        self.min_version = row.version_min
        self.max_version = row.version_max
        self.advertise_min = row.version_min if advertise_min is None else advertise_min
        self._loaded: tuple[Callable[..., Any], Any, Any] | None = None

    def loaded(self) -> tuple[Callable[..., Any], Any, Any]:
        """(`handle`, the request class, the response class), imported on first use."""
        if self._loaded is None:
            self._loaded = (import_module(f"{__name__}.{API[self.key].module}").handle, *load(self.key))
        return self._loaded


HANDLERS: dict[int, HandlerRow] = {
    row.key: row
    for row in (
        HandlerRow(0, advertise_min=0),  # 0-2 are refused: for a librdkafka bug (KAFKA-18659)
        HandlerRow(1),
        HandlerRow(2),
        HandlerRow(3),
        HandlerRow(8),
        HandlerRow(9),
        HandlerRow(10),
        HandlerRow(11),
        HandlerRow(12),
        HandlerRow(13),
        HandlerRow(14),
        HandlerRow(15),
        HandlerRow(16),
        HandlerRow(18),
        HandlerRow(19),
        HandlerRow(20),
        HandlerRow(21),
        HandlerRow(22),
        HandlerRow(23),
        HandlerRow(24),
        HandlerRow(25),
        HandlerRow(26),
        HandlerRow(27),
        HandlerRow(28),
        HandlerRow(32),
        HandlerRow(33),
        HandlerRow(34),
        HandlerRow(35),
        HandlerRow(37),
        HandlerRow(42),
        HandlerRow(43),
        HandlerRow(44),
        HandlerRow(45),
        HandlerRow(46),
        HandlerRow(47),
        HandlerRow(55),
        HandlerRow(57),
        HandlerRow(60),
        HandlerRow(61),
        HandlerRow(65),
        HandlerRow(66),
        HandlerRow(68),
        HandlerRow(69),
        HandlerRow(74),
        HandlerRow(75),
    )
}
