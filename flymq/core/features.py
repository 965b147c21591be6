"""Features of the cluster: which levels this broker could run, and which may be made the one in force.

The level in force steers clients: at `transaction.version` 2 they use the second protocol of transactions, at
`group.version` 1 consumers may use the newer protocol of groups.
Only what works stands here.
Source: KIP-584, KIP-1022; Feature and FeatureControlManager in Apache Kafka 4.3.
"""

from __future__ import annotations

from enum import IntEnum


class Feature:
    """A feature's lowest and highest level; the highest is in force unless somebody changes it."""

    __slots__ = ("high", "low", "name")

    def __init__(self, name: str, low: int, high: int) -> None:
        self.name = name
        self.low = low
        self.high = high


FEATURES = {
    feature.name: feature
    for feature in (
        Feature("group.version", 0, 1),
        Feature("transaction.version", 0, 2),
    )
}


class UpgradeType(IntEnum):
    """What an update is meant to be, numbered as in UpdateFeatures."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


def why_refused(name: str, level: int, current: int, upgrade_type: int) -> str | None:
    """Why the feature's level can't go from `current` to `level`; None where it can."""
    reason = _reason(name, level, current, upgrade_type)
    return None if reason is None else f"Invalid update version {level} for feature {name}. {reason}"


def _reason(name: str, level: int, current: int, upgrade_type: int) -> str | None:
    feature = FEATURES.get(name)
    if upgrade_type not in list(UpgradeType):
        return "The upgrade type is not known."
    if level < 0:
        return "A feature version cannot be less than 0."
    if feature is None:
        return "This broker does not support this feature."
    if not feature.low <= level <= feature.high:
        return f"This broker only supports versions {feature.low}-{feature.high}"
    if level < current and upgrade_type == UpgradeType.UPGRADE:
        return (
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or "
            "unsafe downgrade."
        )
    if level > current and upgrade_type != UpgradeType.UPGRADE:
        return "Can't downgrade to a newer version."
    return None
