"""The features in force, durably: rows of the shard `features`, and how often they were changed."""

from __future__ import annotations

from collections.abc import Mapping

from flymq.core.features import FEATURES
from flymq.env import Token
from flymq.storage.api import ShardStore, StorageError

SHARD = "features"
_EPOCH = "epoch"
_LEVEL = "level/"


class Features:
    """`levels` by name, of every feature there is. `epoch` rises with every change; clients keep the newest."""

    def __init__(self, shards: ShardStore) -> None:
        self._shards = shards
        self.levels = {name: feature.high for name, feature in FEATURES.items()}
        self.epoch = 0

    def load(self) -> None:
        for key, value in self._shards.load(SHARD):
            name = key.removeprefix(_LEVEL)
            if key == _EPOCH:
                self.epoch = int(value)
            elif name in self.levels:
                self.levels[name] = int(value)

    def change(self, levels: Mapping[str, int]) -> Token:
        """Put these levels in force, which `core.features.why_refused` did not refuse. A token of None, or of a
        StorageError: then nothing is changed."""
        changed = Token()
        epoch = self.epoch + 1

        def written(result: object) -> None:
            if not isinstance(result, StorageError):
                self.levels.update(levels)
                self.epoch = max(self.epoch, epoch)
            changed.complete(result)

        rows = [(_LEVEL + name, str(level)) for name, level in levels.items()]
        self._shards.write(SHARD, [*rows, (_EPOCH, str(epoch))]).then(written)
        return changed
