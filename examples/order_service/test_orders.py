"""The order service's tests, against a real broker: `pytest examples/order_service`.

The fixtures come with flymq; there is no conftest.py. Each test finds an empty broker.
"""

from __future__ import annotations

import json

import orders
import pytest

from flymq import EmbeddedBroker, FlyMQClient


def order(number: int, **changes: object) -> tuple[str, str]:
    """Key and value of an order."""
    return "ada", json.dumps({"id": number, "customer": "ada", "drink": "coffee", "count": 2} | changes)


def test_an_invoice_for_each_order(flymq: EmbeddedBroker, flymq_client: FlyMQClient) -> None:
    flymq.seed("orders", [order(1), order(2, drink="tea")])
    assert orders.run(flymq_client, idle_timeout=0.5) == 2
    first, second = flymq.expect("invoices", 2)
    assert first.json() == {"order": 1, "customer": "ada", "cents": 600}
    assert second.json()["cents"] == 500


@pytest.mark.parametrize("value", ["not json", "{}", '{"id": 1, "customer": "ada", "drink": "milk", "count": 1}'])
def test_a_bad_order_is_put_aside(flymq: EmbeddedBroker, flymq_client: FlyMQClient, value: str) -> None:
    flymq.seed("orders", [("ada", value), order(2)])
    assert orders.run(flymq_client, idle_timeout=0.5) == 1
    (rejected,) = flymq.expect("orders.rejected", 1)
    assert rejected.text() == value
    assert rejected.header("reason")


def test_it_goes_on_where_it_was(flymq: EmbeddedBroker, flymq_client: FlyMQClient) -> None:
    flymq.seed("orders", [order(1)])
    orders.run(flymq_client, idle_timeout=0.5)
    flymq.seed("orders", [order(2)])
    assert orders.run(flymq_client, idle_timeout=0.5) == 1
    assert [message.json()["order"] for message in flymq.records("invoices")] == [1, 2]


def test_an_order_is_committed_only_once_it_is_served(
    flymq: EmbeddedBroker, flymq_client: FlyMQClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    flymq.seed("orders", [order(1), order(2)])
    real = orders.invoice

    def fails_once(body: dict[str, object]) -> dict[str, object]:
        if body["id"] == 2:
            monkeypatch.setattr(orders, "invoice", real)
            raise RuntimeError("out of milk")
        return real(body)

    monkeypatch.setattr(orders, "invoice", fails_once)
    with pytest.raises(RuntimeError, match="out of milk"):
        orders.run(flymq_client, idle_timeout=0.5)
    assert orders.run(flymq_client, idle_timeout=0.5) == 1
    assert [message.json()["order"] for message in flymq.records("invoices")] == [1, 2]
