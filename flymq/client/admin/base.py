"""What the namespaces share: asking kafka-python's admin client, and offsets of partitions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flymq.client.connection import Connection
from flymq.client.errors import BrokerUnavailableError, TopicNotFoundError, did_you_mean, of_code, translate
from flymq.client.kafka_python import topic_partition
from flymq.client.messages import Partition

EARLIEST = -2
LATEST = -1

# Nothing was sent: kafka-python waits up to half a minute before it connects again to a broker that was away.
_NOT_SENT = ("NodeNotReadyError", "UnknownBrokerIdError")
# COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR: not done, and soon over.
_COORDINATOR_MOVES = (14, 15, 16)
_AGAIN_S = 0.02


class Admin:
    """Asks through the connection's one admin client. Thread-safe, as that is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _ask(self, what: str, call: Callable[[Any], Any]) -> Any:
        """`call(admin)`, again where it was certainly not done and may be soon: after a broker's restart, while a
        coordinator moves. Raises the `FlyMQError` of whatever goes wrong, said as `what`.
        """
        patience = min(self._connection.connect_timeout, self._connection.timeout)
        deadline = time.monotonic() + self._connection.timeout
        reconnect_until = time.monotonic() + patience
        while True:
            admin = self._connection.admin()
            try:
                return call(admin)
            except Exception as error:
                failure = translate(error, what)
                cause = error
            now = time.monotonic()
            if isinstance(failure, BrokerUnavailableError):
                if now < deadline:
                    # Says what is wrong with the address, if it is that.
                    self._connection.check(min(deadline - now, self._connection.connect_timeout))
                _forget_backoff(admin)
                if type(cause).__name__ not in _NOT_SENT or now > reconnect_until:
                    raise BrokerUnavailableError(f"{what}: lost the connection to a broker ({cause})") from cause
            elif getattr(cause, "errno", None) in _COORDINATOR_MOVES and now < deadline:
                _forget_coordinators(admin)
            else:
                raise failure from cause
            time.sleep(_AGAIN_S)

    def _metadata(self, names: list[str] | None, what: str) -> list[dict[str, Any]]:
        """Kafka's metadata of these topics, or of all. Raises `TopicNotFoundError`, or what else their codes say."""
        topics: list[dict[str, Any]] = self._ask(what, lambda admin: admin.describe_topics(names))
        for topic in topics if names is not None else ():
            if topic["error_code"] == 3:
                raise self._no_topic(topic["name"])
            if topic["error_code"]:
                raise of_code(topic["error_code"], what)
        return topics

    def _no_topic(self, name: str) -> TopicNotFoundError:
        known = self._ask("list topics", lambda admin: admin.list_topics())
        hint = did_you_mean(name, known) or f"create it: client.create_topic({name!r})"
        return TopicNotFoundError(f"there is no topic {name}", hint=hint)

    def _no_topics(self, names: Sequence[str]) -> TopicNotFoundError:
        """For several, each with its own suggestion."""
        known = self._ask("list topics", lambda admin: admin.list_topics())
        near = [f"{name}: {meant}" for name in names if (meant := did_you_mean(name, known))]
        return TopicNotFoundError(f"there are no topics {', '.join(names)}", hint="; ".join(near) or None)

    def _offsets(self, what: str, partitions: Iterable[Partition], at: int) -> dict[Partition, int]:
        """The offset at a time of each partition: ms since the epoch, EARLIEST or LATEST. -1: nothing as late."""
        wanted = {topic_partition(partition): at for partition in partitions}
        if not wanted:
            return {}
        found = self._ask(what, lambda admin: admin.list_partition_offsets(wanted))
        return {Partition(*key): value.offset for key, value in found.items()}


def _forget_backoff(admin: Any) -> None:
    for node in list(admin._manager._backoff):
        admin._manager.reset_backoff(node)


def _forget_coordinators(admin: Any) -> None:
    admin._manager.cluster._coordinators.clear()
