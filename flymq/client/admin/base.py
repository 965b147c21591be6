"""What the namespaces share: asking kafka-python's admin client, and offsets of partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flymq.client.connection import Connection
from flymq.client.errors import TopicNotFoundError, did_you_mean, of_code, translate
from flymq.client.kafka_python import topic_partition
from flymq.client.messages import Partition


class Admin:
    """Asks through the connection's one admin client. Thread-safe, as that is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _ask(self, what: str, call: Callable[[Any], Any]) -> Any:
        """`call(admin)`. Raises the `FlyMQError` of whatever goes wrong, said as `what`."""
        admin = self._connection.admin()
        try:
            return call(admin)
        except Exception as error:
            raise translate(error, what) from error

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

    def _offsets(self, what: str, partitions: Iterable[Partition], at: int) -> dict[Partition, int]:
        """The offset at a time of each partition: ms since the epoch, EARLIEST or LATEST. -1: nothing as late."""
        wanted = {topic_partition(partition): at for partition in partitions}
        if not wanted:
            return {}
        found = self._ask(what, lambda admin: admin.list_partition_offsets(wanted))
        return {Partition(*key): value.offset for key, value in found.items()}


EARLIEST = -2
LATEST = -1
