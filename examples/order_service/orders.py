"""A service: takes orders from one topic, writes an invoice for each to another.

Orders of a customer come in their order, one partition each. A crash between an invoice and the commit of its order
makes the order come again, so an invoice bears the order's number: whoever reads invoices can drop a repetition.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flymq import FlyMQClient

PRICES = {"coffee": 300, "tea": 250}
"""In cents."""


class UnknownDrink(ValueError):
    """Nobody can make that."""


def invoice(order: Mapping[str, Any]) -> dict[str, Any]:
    """What an order costs."""
    if order["drink"] not in PRICES:
        raise UnknownDrink(order["drink"])
    return {"order": order["id"], "customer": order["customer"], "cents": PRICES[order["drink"]] * order["count"]}


def run(client: FlyMQClient, *, idle_timeout: float | None = None) -> int:
    """Serve orders until nothing came for `idle_timeout` seconds; how many were served.

    An order that can't be served goes to `orders.rejected`, with the reason, and does not hold up the others.
    """
    served = 0
    with client.consumer(
        "orders", "order-service", auto_offset_reset="earliest", auto_commit=False, idle_timeout=idle_timeout
    ) as consumer:
        for message in consumer:
            try:
                bill = invoice(message.json())
            except (ValueError, KeyError) as error:
                client.produce("orders.rejected", message.value, key=message.key, headers={"reason": repr(error)})
            else:
                client.produce("invoices", json.dumps(bill), key=message.key)
                served += 1
            consumer.commit()
    return served
