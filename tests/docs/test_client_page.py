"""docs/client.md: every Python block, as printed, one after the other in one session, against a real broker."""

from __future__ import annotations

import ast
import inspect
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.errors import TopicNotFoundError

PAGE = Path(__file__).parent.parent.parent / "docs" / "client.md"
BLOCKS: list[str] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
OF_ADA = ["two coffees", "one tea", "two coffees", "one tea"]
TOTAL = len(OF_ADA) + 2 + 1000


class Reader:
    """Somebody who pastes one block after the other: what they have then, and what the last one printed."""

    def __init__(self, broker: EmbeddedBroker, printed: Callable[[], str]) -> None:
        self.broker = broker
        self.names: dict[str, Any] = {}
        self._printed = printed

    def paste(self, block: str) -> list[str]:
        exec(compile(block, str(PAGE), "exec"), self.names)
        return self._printed().splitlines()


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Reader]:
    """The broker is found where the page says, at localhost:9092, whoever else has that port."""
    with EmbeddedBroker() as broker:
        look_up = socket.getaddrinfo

        def redirected(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            return look_up(host, broker.port if (host, port) == ("localhost", 9092) else port, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", redirected)
        reader = Reader(broker, lambda: capsys.readouterr().out)
        yield reader
        client = reader.names.get("client")
        if isinstance(client, FlyMQClient):
            client.close()


def first_steps(reader: Reader, said: list[str]) -> None:
    assert said == ["0 b'ada' two coffees", "1 b'ada' one tea"]


def writing(reader: Reader, said: list[str]) -> None:
    partition, offset = said[0].split()
    assert (int(partition) in range(3), offset) == (True, "2")
    assert reader.names["metadata"] == (*reader.names["metadata"][:2], 2, reader.names["metadata"].timestamp)
    assert reader.names["report"].sent == 3
    (first, *_) = reader.broker.records("orders", partition=int(partition))[2:]
    assert first.header("source") == b"web"


def a_producer(reader: Reader, said: list[str]) -> None:
    assert len(reader.broker.records("orders")) == TOTAL
    assert reader.names["futures"][-1].done()


def without_a_group(reader: Reader, said: list[str]) -> None:
    count, next_offset, high_watermark, log_start = map(int, said[0].split())
    assert (count, next_offset, log_start) == (10, 10, 0)
    assert high_watermark == len(reader.broker.records("orders", partition=0))
    assert len(said) == 1 + TOTAL
    assert not reader.broker.requests("OffsetCommit")


def as_a_group(reader: Reader, said: list[str]) -> None:
    assert len(said) == TOTAL
    assert reader.broker.lag("kitchen") == 0


def committing(reader: Reader, said: list[str]) -> None:
    assert said.count("b'ada'") == len(OF_ADA)
    assert reader.broker.lag("bookkeeping") == 0


def a_reset(reader: Reader, said: list[str]) -> None:
    assert [line.split()[::3] for line in said] == [["orders", "0"]] * 3  # the topic, and what it is after
    assert reader.broker.lag("bookkeeping") == TOTAL


def transactions(reader: Reader, said: list[str]) -> None:
    assert [message.text() for message in reader.broker.records("payments")] == ["two coffees, 7.00"]
    assert reader.names["client"].transactions.describe("till-1").timeout == 60


def exactly_once(reader: Reader, said: list[str]) -> None:
    orders, bills = reader.broker.records("orders"), reader.broker.records("bills")
    assert sorted(bill.text() for bill in bills) == sorted(f"bill for {order.text()}" for order in orders)
    reader.broker.wait_for_group("billing", state="Empty")
    assert reader.broker.lag("billing") == 0
    reader.paste(BLOCKS[OUTCOMES.index(exactly_once)])  # the next run has nothing to do
    assert len(reader.broker.records("bills")) == TOTAL


def administration(reader: Reader, said: list[str]) -> None:
    assert len(said) == 3
    assert all(line.startswith("orders ") and line.endswith(" 0") for line in said)
    assert len(reader.broker.records("receipts")) == 0


def errors(reader: Reader, said: list[str]) -> None:
    assert said == ["there is no topic ordres - did you mean orders?"]
    with pytest.raises(TopicNotFoundError):
        reader.names["client"].fetch("ordres")


def in_asyncio(reader: Reader, said: list[str]) -> None:
    assert len(said) == TOTAL + 1
    assert said.count("three coffees") == 1
    assert reader.broker.lag("bar") == 0
    assert [message.text() for message in reader.broker.records("payments")][1:] == ["one tea, 2.50"]


OUTCOMES = [
    first_steps, writing, a_producer, without_a_group, as_a_group, committing, a_reset, transactions, exactly_once,
    administration, errors, in_asyncio,
]  # fmt: skip


def test_no_block_is_left_out() -> None:
    assert PAGE.read_text(encoding="utf-8").count("```") == 2 * len(BLOCKS)
    assert len(BLOCKS) == len(OUTCOMES)


def test_the_page(reader: Reader) -> None:
    for block, check in zip(BLOCKS, OUTCOMES, strict=True):
        said = reader.paste(block)
        check(reader, said)


def test_the_arguments_are_those_of_the_table() -> None:
    """Their names, and the defaults."""
    _, table = PAGE.read_text(encoding="utf-8").split("| argument | default | meaning |")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (\S+) \| .* \|$", table, re.MULTILINE)
    told = {name: default.strip("`") for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    taken = inspect.signature(FlyMQClient).parameters
    assert set(told) == {name for name, one in taken.items() if one.kind is not one.VAR_KEYWORD}
    for name, default in told.items():
        assert ast.literal_eval(default) == taken[name].default
