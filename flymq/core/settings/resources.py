"""What has settings, and how a request changes them.

Source: ConfigResource, AlterConfigOp, ConfigAdminManager, ConfigurationControlManager in Apache Kafka 4.3; KIP-339.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

from flymq.core.settings.broker_settings import BROKER_SETTINGS
from flymq.core.settings.setting import LIST, Setting, SettingError, did_you_mean
from flymq.core.settings.unused_settings import is_unused
from flymq_protocol.errors import ErrorCode

Change = tuple[str, int, str | None]
"""(setting, `Operation`, value); the value of a deletion says nothing."""


class ResourceType(IntEnum):
    """What has settings, numbered as on the wire."""

    TOPIC = 2
    BROKER = 4
    LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


class ResourceError(Exception):
    """Why a resource's settings are not shown or not changed: the wire's error code, and a text for the user."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Operation(IntEnum):
    """What becomes of a setting, numbered as in IncrementalAlterConfigs."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


def altered(table: Mapping[str, Setting], own: Mapping[str, str], changes: Iterable[Change]) -> dict[str, str]:
    """`own` settings of a resource after `changes`; the new values are not checked yet.

    A list that is not set begins as its default. SettingError for appending to what is no list.
    """
    result = dict(own)
    for name, operation, value in changes:
        if operation == Operation.DELETE:
            result.pop(name, None)
        elif operation == Operation.SET:
            result[name] = value or ""
        else:
            verb = Operation(operation).name
            setting = table.get(name)
            if setting is None or setting.type is not LIST:
                raise SettingError(name, f"Can't {verb} to key {name} because its type is not LIST", "set it instead")
            words = setting.parse(own.get(name, setting.default or ""))
            given = [word.strip() for word in (value or "").split(",")]
            if operation == Operation.APPEND:
                words = [*dict.fromkeys([*words, *given])]
            else:
                words = [word for word in words if word not in given]
            result[name] = ",".join(words)
    return result


def checked(table: Mapping[str, Setting], values: Mapping[str, str | None], kind: str) -> dict[str, str]:
    """Every value in its canonical text. SettingError for a name that isn't in `table`, or a value it can't have;
    `kind` of resource stands in its text."""
    result = {}
    for name, text in values.items():
        setting = table.get(name)
        if setting is None:
            raise SettingError(name, f"Unknown {kind} config name: {name}", did_you_mean(name, table))
        if text is None:
            raise SettingError(name, f"{name} is null", f"it must be {setting.expected}")
        result[name] = setting.canonical(text)
    return result


def checked_dynamic(values: Mapping[str, str]) -> dict[str, str]:
    """As `checked`, for broker settings that are to change while the broker runs."""
    for name in values:
        if is_unused(name):
            raise SettingError(name, f"{name} has no effect in FlyMQ", "it can't be changed at run time")
        if name in BROKER_SETTINGS and not BROKER_SETTINGS[name].dynamic:
            raise SettingError(
                name, f"Cannot update these configs dynamically: [{name}]", "set it in the broker's file and restart"
            )
    return checked(BROKER_SETTINGS, values, "broker")
