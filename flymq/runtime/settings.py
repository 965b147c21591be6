"""Settings that are changed while the broker runs: of brokers, groups and subscriptions to metrics (topics have
theirs in the catalog). Rows of the shard `configs`, `<type>/<name>` each.

What is asked for is durable before it is in force, and in force before it is answered.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping

from flymq.core.settings import (
    BROKER_SETTINGS,
    CLIENT_METRICS_SETTINGS,
    GROUP_SETTINGS,
    BrokerConfig,
    ResourceType,
    Setting,
    SettingError,
    check_group,
    checked,
    checked_dynamic,
)
from flymq.env import Token, gather
from flymq.storage.api import ShardStore, StorageError

_log = logging.getLogger("flymq.settings")

SHARD = "configs"

_Key = tuple[ResourceType, str]

_KINDS = {ResourceType.BROKER: "broker", ResourceType.GROUP: "group", ResourceType.CLIENT_METRICS: "client-metrics"}

TABLES: dict[ResourceType, Mapping[str, Setting]] = {
    ResourceType.BROKER: BROKER_SETTINGS,
    ResourceType.GROUP: GROUP_SETTINGS,
    ResourceType.CLIENT_METRICS: CLIENT_METRICS_SETTINGS,
}


class Settings:
    """Every resource's own settings. Brokers are named by their id, `""` stands for all of them.

    `on_group_changed` are called with each group whose own settings were loaded or are others now: its id, and all
    of its own settings.
    """

    def __init__(self, shards: ShardStore, config: BrokerConfig) -> None:
        self._shards = shards
        self._config = config
        self._own: dict[_Key, dict[str, str]] = {}
        self._changing: dict[_Key, tuple[dict[str, str], Token]] = {}  # the newest, not durable yet
        self.on_group_changed: list[Callable[[str, Mapping[str, str]], None]] = []

    def load(self) -> None:
        """Put in force what the store has. A setting that is no longer one is left out, and logged."""
        types = {kind: type_ for type_, kind in _KINDS.items()}
        for key, value in self._shards.load(SHARD):
            kind, _, name = key.partition("/")
            self._own[types[kind], name] = self._what_is_valid(types[kind], json.loads(value), key)
        for type_, name in self._own:
            self._put_in_force(type_, name)

    def _what_is_valid(self, type_: ResourceType, own: dict[str, str], row: str) -> dict[str, str]:
        try:
            return self.check(type_, own)
        except SettingError as error:
            _log.warning("%s of %s is left out: %s", error.name, row, error.whole)
            # What contradicts a setting that is not among them goes with all of them.
            rest = {name: text for name, text in own.items() if name != error.name and error.name in own}
            return self._what_is_valid(type_, rest, row)

    # -- reading ----------------------------------------------------------------------------------

    def own(self, type_: ResourceType, name: str) -> Mapping[str, str]:
        """What is set for the resource itself, in canonical text."""
        return self._own.get((type_, name), {})

    def named(self, type_: ResourceType) -> list[str]:
        """The resources of this type that have settings of their own."""
        return sorted(name for (its_type, name), own in self._own.items() if its_type == type_ and own)

    # -- changing ---------------------------------------------------------------------------------

    def latest(self, type_: ResourceType, name: str) -> Mapping[str, str]:
        """`own` as it will be once the changes under way are durable: the next one builds on them."""
        changing = self._changing.get((type_, name))
        return self.own(type_, name) if changing is None else changing[0]

    def check(self, type_: ResourceType, values: Mapping[str, str]) -> dict[str, str]:
        """In canonical text, for `change`. SettingError where they can't be."""
        if type_ == ResourceType.BROKER:
            return checked_dynamic(values)
        if type_ == ResourceType.GROUP:
            return check_group(self._config, values)
        return checked(CLIENT_METRICS_SETTINGS, values, "client metrics")

    def change(self, type_: ResourceType, name: str, own: dict[str, str]) -> Token:
        """Replace a resource's own settings; they are as `check` gave them. A token of None or of a StorageError."""
        key = type_, name
        changed = Token()
        earlier = self._changing.get(key)
        self._changing[key] = own, changed

        def go_on(outcome: object) -> None:
            if isinstance(outcome, StorageError):  # what this one builds on is not there
                self._ended(key, changed, outcome)
            else:
                self._write(key, own).then(lambda result: self._written(key, own, changed, result))

        if earlier is None:
            go_on(None)
        else:
            earlier[1].then(go_on)
        return changed

    def clear(self) -> Token:
        """Take back everything that was changed at run time. A token of what `change` gives, for each resource."""
        return gather([self.change(type_, name, {}) for type_, name in list(self._own)])

    def _write(self, key: _Key, own: Mapping[str, str]) -> Token:
        row = f"{_KINDS[key[0]]}/{key[1]}"
        if not own:
            return self._shards.write(SHARD, [], [row])
        return self._shards.write(SHARD, [(row, json.dumps(own, sort_keys=True, separators=(",", ":")))])

    def _written(self, key: _Key, own: dict[str, str], changed: Token, result: object) -> None:
        if isinstance(result, StorageError):
            # Whether it was written is not known: write what was there.
            self._write(key, self.own(*key)).then(lambda _: self._ended(key, changed, result))
            return
        if own:
            self._own[key] = own
        else:
            self._own.pop(key, None)
        self._put_in_force(*key)
        self._ended(key, changed, None)

    def _ended(self, key: _Key, changed: Token, result: StorageError | None) -> None:
        if self._changing[key][1] is changed:
            del self._changing[key]
        changed.complete(result)

    def _put_in_force(self, type_: ResourceType, name: str) -> None:
        if type_ == ResourceType.BROKER:
            this = str(self._config.node_id)
            self._config.set_dynamic(self.own(type_, this), self.own(type_, ""))
        elif type_ == ResourceType.GROUP:
            for tell in self.on_group_changed:
                tell(name, self.own(type_, name))
