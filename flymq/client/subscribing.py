"""Topics that somebody subscribes to and that are not there: created where that is allowed, else told."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from flymq.client.connection import Connection
from flymq.client.errors import TopicNotFoundError, did_you_mean

logger = logging.getLogger("flymq.client")

_CREATION_WAIT_S = 5.0
_RETRY_S = 0.02


def missing_topics(kafka: Any, connection: Connection, wanted: Sequence[str]) -> list[str]:
    """Those that a subscription by this KafkaConsumer will create; a name that looks mistyped is logged.

    Raises `TopicNotFoundError` where it must not create any.
    """
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


def await_creation(kafka: Any, connection: Connection, missing: Iterable[str]) -> None:
    """Return when they exist. Raises `TopicNotFoundError` where the broker creates none."""
    deadline = time.monotonic() + min(_CREATION_WAIT_S, connection.timeout)
    for topic in missing:
        while not kafka.partitions_for_topic(topic):
            if time.monotonic() > deadline:
                raise TopicNotFoundError(
                    f"there is no topic {topic}, and the broker does not create it",
                    hint=f"create it: client.create_topic({topic!r})",
                )
            time.sleep(_RETRY_S)
