"""Who leads a partition or coordinates a group, and where clients reach it. On one node: always this one."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flymq.core.settings import BrokerConfig
    from flymq.storage.api import PartitionRef


class CoordinatorKind(IntEnum):
    """What is coordinated, numbered as FindCoordinator's key_type."""

    GROUP = 0
    TRANSACTION = 1
    SHARE = 2


class Placement:
    """The only code that knows who leads what."""

    def __init__(self, node_id: int, cluster_id: str, config: BrokerConfig) -> None:
        self.node_id = node_id
        self.cluster_id = cluster_id
        self._advertised = dict(config.advertised)
        self._listener_of_port = {listener.port: listener.name for listener in config.listeners if listener.port}
        self._only_listener = config.listeners[0].name if len(config.listeners) == 1 else None

    def leader(self, partition: PartitionRef) -> int:
        """Node id of the partition's leader."""
        return self.node_id

    def coordinator(self, kind: CoordinatorKind, key: str) -> int:
        """Node id of the coordinator of a group or transactional id."""
        return self.node_id

    def listener_bound(self, name: str, port: int) -> None:
        """Tell which port a listener got that asked for any (port 0)."""
        self._listener_of_port[port] = name

    def advertised(self, local_address: tuple[str, int]) -> tuple[str, int]:
        """Host and port of this node for a client whose connection ends at `local_address`.

        What its listener advertises, else the address that the client dialled: it has just worked.
        """
        host, port = local_address
        listener = self._only_listener or self._listener_of_port.get(port)
        told = self._advertised.get(listener) if listener is not None else None
        if told is not None:
            return told
        return host.removeprefix("::ffff:"), port  # an IPv4 client of a socket that takes both
