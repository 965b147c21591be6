"""ListTransactions on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from flymq_protocol.api.k66_list_transactions import ListTransactionsRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_topic
from .txn import add, init, start


def listed(client: Client, version: int = 2, **filters: Any) -> dict[str, tuple[int, str]]:
    """By transactional id, producer id and state."""
    request = ListTransactionsRequest(**{"state_filters": [], "producer_id_filters": [], **filters})
    answer = client.call(request, version)
    assert answer.error_code == ErrorCode.NONE
    return {one.transactional_id: (one.producer_id, one.transaction_state) for one in answer.transaction_states}


def happy(client: Client, version: int) -> None:
    idle, ongoing = start(client), start(client)
    add(client, *ongoing, a_topic(client))
    everything = listed(client, version)
    assert everything[idle[0]] == (idle[1], "Empty")
    assert everything[ongoing[0]] == (ongoing[1], "Ongoing")
    assert listed(client, version, producer_id_filters=[idle[1]]) == {idle[0]: (idle[1], "Empty")}
    found = listed(client, version, state_filters=["Ongoing"])
    assert ongoing[0] in found
    assert idle[0] not in found
    if version >= 1:
        assert ongoing[0] not in listed(client, version, duration_filter=3_600_000)
    if version >= 2:
        assert ongoing[0] in listed(client, version, transactional_id_pattern=f".{ongoing[0][1:-1]}[0-9]")
        assert listed(client, version, transactional_id_pattern=ongoing[0][1:]) == {}, "a part is not the whole"


def test_names_of_states_that_nobody_knows_come_back(client: Client) -> None:
    start(client)
    answer = client.call(ListTransactionsRequest(["Ongoing", "ongoing", "Odd"], []), 2)
    assert answer.unknown_state_filters == ["ongoing", "Odd"]
    answer = client.call(ListTransactionsRequest(["Odd"], []), 2)
    assert (answer.unknown_state_filters, answer.transaction_states) == (["Odd"], [])


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "a{2,1}", "(?=a)", r"(a)\1"])
def test_a_pattern_that_is_none(client: Client, pattern: str) -> None:
    answer = client.call(ListTransactionsRequest([], [], -1, pattern), 2)
    assert (answer.error_code, answer.transaction_states) == (ErrorCode.INVALID_REGULAR_EXPRESSION, [])


def test_an_empty_pattern_passes_all(client: Client) -> None:
    name = start(client)[0]
    assert name in listed(client, transactional_id_pattern="")


def test_no_pattern_holds_up_the_broker(client: Client) -> None:
    """Linear in the id: one that goes back and tries again would take years."""
    name = "a" * 60 + "!"
    init(client, name)
    assert listed(client, transactional_id_pattern="(a+)+") == {}
    assert name in listed(client, transactional_id_pattern="(a+)+!")
