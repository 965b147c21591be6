"""The broker's settings as one object: every value parsed once, and where it came from.

Above what it was started with lie two layers that change while it runs (KIP-226): what is set for this
broker, and below that what is set for all brokers of the cluster.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flymq.core.settings.broker_settings import BROKER_SETTINGS
from flymq.core.settings.listeners import Listener, advertised_addresses, client_listeners
from flymq.core.settings.setting import Setting, SettingError, did_you_mean, to_text
from flymq.core.settings.unused_settings import REFUSED_SETTINGS, UNUSED_SETTINGS, is_unused

DEFAULT_ORIGIN = "default"

Layer = Mapping[str, tuple[str, str]]
"""Settings from one place: name to (text, origin). The origin says where, such as `flymq.toml:3`."""


class BrokerConfig:
    """All broker settings with their values. Only `set_dynamic` changes any.

    `layers` come in rising precedence. SettingError for a name that nobody knows, a value that the setting
    can't have, or settings that contradict each other; its text begins with the origin.

    `unused` lists (name, origin) of Kafka settings that were given and have no effect here; `listeners` and
    `advertised` (by listener name) are those for clients, without Kafka's controller listeners.

    `own` and `cluster` are what is set at run time, for this broker and for all: by name, in canonical text.
    `on_changed` are called with the names of the settings whose value is another now. Whoever copies a dynamic
    setting at its start has to be there.
    """

    __slots__ = (
        "_origins", "_static_values", "_texts", "_values", "advertised", "cluster", "listeners", "on_changed", "own",
        "unused",
    )  # fmt: skip

    def __init__(self, layers: Iterable[Layer] = ()) -> None:
        self._texts: dict[builtins.str, builtins.str | None] = {
            name: setting.default for name, setting in BROKER_SETTINGS.items()
        }
        self._origins: dict[builtins.str, builtins.str] = {}
        self.unused: builtins.list[tuple[builtins.str, builtins.str]] = []
        for layer in layers:
            for name, (text, origin) in layer.items():
                self._set(name, text, origin)
        self._unify_node_id()
        self._values: dict[builtins.str, Any] = {
            name: self._parse(BROKER_SETTINGS[name], text) for name, text in self._texts.items()
        }
        self._static_values = self._values
        self.own: dict[builtins.str, builtins.str] = {}
        self.cluster: dict[builtins.str, builtins.str] = {}
        self.on_changed: builtins.list[Callable[[frozenset[builtins.str]], None]] = []
        self.listeners: builtins.list[Listener] = client_listeners(self)
        self.advertised: dict[builtins.str, tuple[builtins.str, builtins.int]] = advertised_addresses(self)

    # -- values -----------------------------------------------------------------------------------
    # A setting without a value (`broker.rack`) is None in `get`; the typed ones are for settings
    # that always have one, and fail loudly on a name that does not exist. They are named like
    # Python's types, which is why annotations in this class say `builtins.`.

    def int(self, name: builtins.str) -> builtins.int:
        value = self._values[name]
        assert type(value) is builtins.int, name
        return value

    def bool(self, name: builtins.str) -> builtins.bool:
        value = self._values[name]
        assert type(value) is builtins.bool, name
        return value

    def str(self, name: builtins.str) -> builtins.str:
        value = self._values[name]
        assert type(value) is builtins.str, name
        return value

    def list(self, name: builtins.str) -> builtins.list[builtins.str]:
        value = self._values[name]
        assert type(value) is builtins.list, name
        return value

    def get(self, name: builtins.str) -> Any:
        """The parsed value, or None where it is unset and has no default. KeyError for an unknown name."""
        return self._values[name]

    def text(self, name: builtins.str) -> builtins.str | None:
        """The value as Kafka shows it."""
        value = self._values[name]
        return None if value is None else to_text(value)

    def static_text(self, name: builtins.str) -> builtins.str | None:
        """As `text`, but what it was started with."""
        value = self._static_values[name]
        return None if value is None else to_text(value)

    def default_text(self, name: builtins.str) -> builtins.str | None:
        """What the value would be had nobody set it."""
        return BROKER_SETTINGS[name].default

    def origin(self, name: builtins.str) -> builtins.str:
        """`default`, `<file>:<line>`, `environment <VARIABLE>`, or the flag that set it."""
        return self._origins.get(name, DEFAULT_ORIGIN)

    def is_set(self, name: builtins.str) -> builtins.bool:
        """Whether somebody gave it a value (DescribeConfigs: a static broker setting)."""
        return name in self._origins

    @property
    def node_id(self) -> builtins.int:
        return self.int("node.id")

    # -- changing ---------------------------------------------------------------------------------

    def set_dynamic(
        self, own: Mapping[builtins.str, builtins.str], cluster: Mapping[builtins.str, builtins.str]
    ) -> None:
        """Replace both layers that change at run time, then tell who wants to know.

        Names and texts must be valid: SettingError, or KeyError, and nothing is changed.
        """
        values = dict(self._static_values)
        for layer in (cluster, own):
            values.update((name, BROKER_SETTINGS[name].parse(text)) for name, text in layer.items())
        changed = frozenset(name for name, value in values.items() if value != self._values[name])
        self._values, self.own, self.cluster = values, dict(own), dict(cluster)
        if changed:
            for tell in self.on_changed:
                tell(changed)

    # -- reading ----------------------------------------------------------------------------------

    def _set(self, name: builtins.str, text: builtins.str, origin: builtins.str) -> None:
        refusal = REFUSED_SETTINGS.get(name)
        if refusal is not None and text.strip():
            raise SettingError(name, f"{origin}: {name} can't be used", refusal)
        if name in BROKER_SETTINGS:
            self._texts[name] = text
            self._origins[name] = origin
        elif is_unused(name):
            self.unused.append((name, origin))
        else:
            raise SettingError(
                name, f"{origin}: there is no setting {name}", did_you_mean(name, [*BROKER_SETTINGS, *UNUSED_SETTINGS])
            )

    def _parse(self, setting: Setting, text: builtins.str | None) -> Any:
        if text is None:
            return None
        try:
            return setting.parse(text)
        except SettingError as error:
            raise SettingError(error.name, f"{self.origin(setting.name)}: {error}", error.hint) from None

    def _unify_node_id(self) -> None:
        """`broker.id` is the older name of `node.id`; -1 there means unset."""
        if not self.is_set("broker.id") or self._texts["broker.id"] in ("-1", None):
            return
        if not self.is_set("node.id"):
            self._texts["node.id"] = self._texts["broker.id"]
            self._origins["node.id"] = self._origins["broker.id"]
        elif self._texts["node.id"] != self._texts["broker.id"]:
            raise SettingError(
                "broker.id",
                f"{self.origin('broker.id')}: broker.id is {self._texts['broker.id']}, "
                f"but node.id is {self._texts['node.id']}",
                "they are two names of one setting: remove broker.id",
            )
