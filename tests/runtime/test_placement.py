"""Which address a client is told."""

from __future__ import annotations

from flymq.core.settings import BrokerConfig
from flymq.runtime.placement import CoordinatorKind, Placement
from flymq.storage.api import PartitionRef

TWO = "INSIDE://:9092,OUTSIDE://:9093"
PROTOCOLS = "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT"


def placement(listeners: str, advertised: str = "") -> Placement:
    return Placement(
        3,
        "cluster",
        BrokerConfig(
            [
                {
                    "listeners": (listeners, "test"),
                    "listener.security.protocol.map": (PROTOCOLS, "test"),
                    "advertised.listeners": (advertised, "test"),
                }
            ]
        ),
    )


def test_this_node_leads_and_coordinates_all() -> None:
    here = placement(TWO)
    assert here.leader(PartitionRef("t", bytes(16), 0)) == 3
    assert here.coordinator(CoordinatorKind.GROUP, "g") == 3


def test_as_dialled_unless_configured() -> None:
    here = placement("INSIDE://:9092")
    assert here.advertised(("10.0.0.1", 9092)) == ("10.0.0.1", 9092)
    assert here.advertised(("::ffff:10.0.0.1", 9092)) == ("10.0.0.1", 9092)
    assert here.advertised(("::1", 9092)) == ("::1", 9092)


def test_a_single_listeners_address_whatever_was_dialled() -> None:
    here = placement("INSIDE://:9092", "INSIDE://broker.example:19092")
    assert here.advertised(("172.17.0.2", 9092)) == ("broker.example", 19092)


def test_each_listener_has_its_own_address() -> None:
    here = placement(TWO, "OUTSIDE://broker.example:19093")
    assert here.advertised(("10.0.0.1", 9093)) == ("broker.example", 19093)
    assert here.advertised(("10.0.0.1", 9092)) == ("10.0.0.1", 9092)


def test_a_listener_that_asked_for_any_port() -> None:
    here = placement("INSIDE://:0,OUTSIDE://:0", "OUTSIDE://broker.example:19093")
    here.listener_bound("INSIDE", 40001)
    here.listener_bound("OUTSIDE", 40002)
    assert here.advertised(("10.0.0.1", 40001)) == ("10.0.0.1", 40001)
    assert here.advertised(("10.0.0.1", 40002)) == ("broker.example", 19093)
