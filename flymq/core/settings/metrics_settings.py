"""The settings of a subscription to clients' metrics (KIP-714): validated, stored and shown. FlyMQ asks no client
for metrics, so they are without effect.

Source: ClientMetricsConfigs in Apache Kafka 4.3.
"""

from __future__ import annotations

import re

from flymq.core.settings.setting import INT, LIST, Rule, Setting, between, table

_SELECTORS = {
    "client_id", "client_instance_id", "client_software_name", "client_software_version", "client_source_address",
    "client_source_port",
}  # fmt: skip


def _is_pattern(word: str) -> bool:
    name, equals, pattern = word.partition("=")
    try:
        re.compile(pattern)
    except re.error:
        return False
    return bool(equals) and name.strip() in _SELECTORS


_patterns = Rule(
    "selector=pattern, of " + ", ".join(sorted(_SELECTORS)), lambda words: all(_is_pattern(word) for word in words)
)

CLIENT_METRICS_SETTINGS = table(
    [
        Setting("interval.ms", INT, "300000", "In Kafka, how often a client pushes its metrics. Without effect.",
                between(100, 3_600_000), dynamic=True),
        Setting("match", LIST, "", "In Kafka, which clients push their metrics. Without effect.", _patterns,
                dynamic=True),
        Setting("metrics", LIST, "", "In Kafka, prefixes of the metrics' names. Without effect.", dynamic=True),
    ]
)  # fmt: skip
