"""Clients in Python: of this environment, and old releases in environments of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from compat_tests.drivers.catalog import Client
from compat_tests.drivers.python.environments import python_with

_HERE = Path(__file__).parent
_CODECS = ("cramjam==2.14.0", "lz4==4.4.5", "python-snappy==0.7.3", "zstandard==0.25.0")
_NO_ADMIN_CALL = "not in its admin client"
_NOT_THERE = "not implemented"


def _here(driver: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, str(_HERE / driver)]


def _old(driver: str, *pins: str, newest_python: tuple[int, int] | None = None) -> Callable[[], list[str]]:
    """The first pin is the library. `newest_python`: the last one that it works with."""
    name = pins[0].replace("==", " ")

    def command() -> list[str]:
        if newest_python is not None and sys.version_info[:2] > newest_python:
            pytest.skip(f"NOT RUN: {name} needs Python {'.'.join(map(str, newest_python))} or older")
        return [python_with(name, pins), str(_HERE / driver)]

    return command


def _name(distribution: str) -> str:
    """With its major and minor release."""
    return f"{distribution} {'.'.join(version(distribution).split('.')[:2])}"


def _lacks(why: str, *capabilities: str) -> dict[str, str]:
    return dict.fromkeys(capabilities, why)


CLIENTS = [
    Client(_name("confluent-kafka"), "Python", _here("confluent.py"), _lacks(_NO_ADMIN_CALL, "delete_group_offsets")),
    Client("confluent-kafka 2.0.2", "Python", _old("confluent.py", "confluent-kafka==2.0.2", newest_python=(3, 11)), {
        **_lacks(_NO_ADMIN_CALL, "delete_group_offsets", "set_config", "delete_records", "list_offsets",
                 "describe_cluster"),
        **_lacks(_NOT_THERE, "KIP-848"),
    }),
    Client(_name("kafka-python"), "Python", _here("kafka_python.py"), {
        "replace_config": "its admin client sends the settings that are not named too",
        **_lacks(_NOT_THERE, "KIP-848"),
    }),
    Client("kafka-python 2.3.3", "Python", _old("kafka_python.py", "kafka-python==2.3.3", *_CODECS), {
        "acks 0": "closing it loses what it says is sent, on Kafka too",
        **_lacks(_NO_ADMIN_CALL, "set_config", "set_group_offsets", "delete_group_offsets"),
        **_lacks(_NOT_THERE, "static membership", "cooperative-sticky", "KIP-848"),
    }),
    Client("kafka-python 2.0.2", "Python",
           _old("kafka_python.py", "kafka-python==2.0.2", *_CODECS, newest_python=(3, 11)), {
        **_lacks(_NO_ADMIN_CALL, "set_config", "delete_records", "set_group_offsets", "delete_group_offsets"),
        **_lacks(_NOT_THERE, "idempotence", "transactions", "send_offsets", "read_committed",
                 "static membership", "cooperative-sticky", "KIP-848"),
    }),
    Client(_name("aiokafka"), "Python", _here("aiokafka_driver.py"), {
        "set_config": "its admin client has AlterConfigs alone",
        **_lacks(_NO_ADMIN_CALL, "delete_group", "set_group_offsets", "delete_group_offsets"),
        **_lacks(_NOT_THERE, "cooperative-sticky", "KIP-848"),
    }),
    Client("aiokafka 0.8.0", "Python",
           _old("aiokafka_driver.py", "aiokafka==0.8.0", "async-timeout==5.0.1", "kafka-python==2.0.2",
                "packaging==26.3", *_CODECS, newest_python=(3, 11)), {
        "set_config": "its admin client has AlterConfigs alone",
        **_lacks(_NO_ADMIN_CALL, "delete_records", "delete_group", "set_group_offsets", "delete_group_offsets"),
        **_lacks(_NOT_THERE, "static membership", "cooperative-sticky", "KIP-848"),
    }),
]  # fmt: skip
