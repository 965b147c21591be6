"""What people ask of a consumer, before it begins: settings, partitions, topics that may not be there."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flymq.client.connection import Connection
from flymq.client.errors import InvalidArgumentError, TopicNotFoundError, did_you_mean
from flymq.client.kafka_python import kafka as kafka_module
from flymq.client.messages import Partition

logger = logging.getLogger("flymq.client")

Topics = list[str] | re.Pattern[str]

_CREATION_WAIT_S = 5.0
_RETRY_S = 0.02

# Settings of kafka-python that would fight with ours -> what to use.
_OURS = {
    "enable_auto_commit": "auto_commit",
    "auto_commit_interval_ms": "auto_commit_interval, in seconds",
    "consumer_timeout_ms": "idle_timeout, in seconds",
    "isolation_level": "isolation",
    "bootstrap_servers": "another FlyMQClient",
}
_OUR_NAMES = ("group_id", "auto_offset_reset", "auto_commit", "auto_commit_interval", "idle_timeout", "isolation",
              "on_assigned", "on_revoked", "key_deserializer", "value_deserializer")  # fmt: skip


def check_settings(settings: Iterable[str]) -> None:
    """Raises `InvalidArgumentError` for names that are no settings of a KafkaConsumer, or not to be set there."""
    known = kafka_module().KafkaConsumer.DEFAULT_CONFIG
    for name in settings:
        if name in _OURS:
            raise InvalidArgumentError(f"{name} is not for a consumer of FlyMQ", hint=f"use {_OURS[name]}")
        if name not in known:
            hint = did_you_mean(name, [*_OUR_NAMES, *known])
            raise InvalidArgumentError(
                f"there is no setting {name}", hint=hint or "settings are kafka-python's of a KafkaConsumer"
            )


def as_partition(partition: object) -> Partition:
    """Of a pair of a topic and a number. Raises `InvalidArgumentError` for anything else."""
    if isinstance(partition, tuple | list) and len(partition) == 2:
        topic, number = partition
        if isinstance(topic, str) and isinstance(number, int):
            return Partition(topic, number)
    raise InvalidArgumentError(f"{partition!r} is no partition", hint='give a topic and a number: ("orders", 0)')


def subscribe(kafka: Any, connection: Connection, topics: Topics, listener: Any) -> None:
    """Subscribe a KafkaConsumer; those that are named exist then. Raises `TopicNotFoundError`."""
    if isinstance(topics, re.Pattern):
        kafka.subscribe(pattern=topics, listener=listener)
        return
    missing = _missing(kafka, connection, topics)
    kafka.subscribe(topics=topics, listener=listener)
    _await_creation(kafka, connection, missing)
    # What it has just learned of the topics. Else it joins before it looks, then looks, and joins once more.
    kafka._coordinator._handle_metadata_update(kafka._cluster)


def is_joining(kafka: Any) -> bool:
    """Whether a rebalance is under way: it needs polls to get on, and nothing can be committed meanwhile."""
    return bool(kafka._coordinator.rejoining)


def keep_joining(kafka: Any) -> None:
    """Before each poll: kafka-python begins to join for changed metadata, and where the answer comes between two polls
    and the metadata is as it should be by then, it forgets about it. It would wait for ever, and send no heartbeats.
    """
    if kafka._coordinator.rejoining:
        kafka._coordinator.request_rejoin()


def _missing(kafka: Any, connection: Connection, wanted: Sequence[str]) -> list[str]:
    """Those that a subscription will create; a name that looks mistyped is logged."""
    known = kafka.topics()
    missing = [topic for topic in wanted if topic not in known]
    for topic in missing:
        near = did_you_mean(topic, known)
        if not connection.auto_create_topics:
            raise TopicNotFoundError(
                f"there is no topic {topic}", hint=near or f"create it: client.create_topic({topic!r})"
            )
        if near is not None:
            logger.warning("topic %s did not exist and is created: %s", topic, near)
    return missing


def _await_creation(kafka: Any, connection: Connection, missing: Iterable[str]) -> None:
    """Return when they exist; the broker may well create none.

    Asks for what is subscribed to, which creates it. kafka-python's `partitions_for_topic` asks for all that there is.
    """
    deadline = time.monotonic() + min(_CREATION_WAIT_S, connection.timeout)
    for topic in missing:
        while not kafka._cluster.partitions_for_topic(topic):
            left = deadline - time.monotonic()
            if left < 0:
                raise TopicNotFoundError(
                    f"there is no topic {topic}, and the broker does not create it",
                    hint=f"create it: client.create_topic({topic!r})",
                )
            with contextlib.suppress(kafka_module().errors.RetriableError):
                kafka._net.run(kafka._manager.wait_for, kafka._cluster.request_update(), left * 1000)
            time.sleep(_RETRY_S)


def hint_at_old(
    group_id: str, topics: str, begin: Mapping[Partition, int], first: Mapping[Partition, int]
) -> None:
    """A group that begins at the end of a topic looks as if it was broken, to who expects what is there."""
    if old := sum(max(0, begin[partition] - offset) for partition, offset in first.items()):
        logger.warning(
            "group %s begins at the end of %s: %d older messages are not read; "
            'auto_offset_reset="earliest" (flymq-cli: --from-beginning) begins with them',
            group_id, topics, old,
        )  # fmt: skip
