"""What a test does with a broker besides connecting a client: seed, records, expect, committed, lag, ..."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer

from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.admin.groups import GroupAdmin
from flymq.client.admin.topics import TopicAdmin
from flymq.client.admin.types import PartitionLag
from flymq.client.errors import GroupNotFoundError, PartitionNotFoundError, SerializationError, TopicNotFoundError
from flymq.client.messages import Message


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """It is done by another thread, which is over in the end."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def told(*lines: str) -> Iterator[None]:
    """Fails an assertion with exactly these lines."""
    with pytest.raises(AssertionError) as caught:
        yield
    assert str(caught.value) == "\n".join(lines)


def texts(messages: list[Message[bytes | None, bytes | None]]) -> list[str]:
    return [message.text() for message in messages]


class TestSeed:
    def test_items_are_values_pairs_or_mappings(self, flymq: EmbeddedBroker) -> None:
        report = flymq.seed(
            "orders",
            [b"one", "two", ("ada", "three"), (b"ada", None),
             {"value": "five", "key": "bob", "headers": {"a": "b"}, "timestamp": 1_700_000_000_000}],
        )
        assert report.sent == 5
        one, two, three, four, five = flymq.records("orders")
        assert [(one.key, one.value), (two.key, two.value)] == [(None, b"one"), (None, b"two")]
        assert [(three.key, three.value), (four.key, four.value)] == [(b"ada", b"three"), (b"ada", None)]
        assert (five.key, five.value, five.header("a"), five.timestamp) == (b"bob", b"five", b"b", 1_700_000_000_000)

    def test_it_creates_the_topic_but_leaves_one_that_is_there(
        self, flymq: EmbeddedBroker, flymq_client: FlyMQClient
    ) -> None:
        flymq.seed("orders", [], partitions=3)
        flymq.seed("orders", ["one"], partitions=5)
        assert len(flymq_client.topics.describe("orders").partitions) == 3
        flymq.seed("orders", [{"value": "two", "partition": 2}])
        assert texts(flymq.records("orders", partition=2))[-1] == "two"

    def test_items_may_come_one_by_one(self, flymq: EmbeddedBroker) -> None:
        flymq.seed("orders", (str(number) for number in range(1000)))
        assert texts(flymq.records("orders")) == [str(number) for number in range(1000)]

    def test_a_single_item_needs_a_list_around_it(self, flymq: EmbeddedBroker) -> None:
        with pytest.raises(TypeError, match=r"takes a list of items: seed\('orders', \['one'\]\)"):
            flymq.seed("orders", "one")
        with pytest.raises(TypeError, match="takes a list of items"):
            flymq.seed("orders", {"value": "one"})

    def test_what_cannot_be_written_is_told(self, flymq: EmbeddedBroker) -> None:
        with pytest.raises(SerializationError, match=r"not dict: \{'id': 1\}"):
            flymq.seed("orders", ["one", {"id": 1}])
        with pytest.raises(PartitionNotFoundError):
            flymq.seed("orders", [{"value": "one", "partition": 7}])

    def test_a_topic_that_was_deleted_does_not_come_back(
        self, flymq: EmbeddedBroker, flymq_client: FlyMQClient
    ) -> None:
        """The helper's client still knows it, and asks about it when it asks about another."""
        for number in range(5):
            flymq.seed(f"orders-{number}", ["one"])
            flymq_client.delete_topic(f"orders-{number}")
            flymq.seed(f"bills-{number}", ["one"])
        assert flymq_client.list_topics() == [f"bills-{number}" for number in range(5)]
        assert not flymq._client().connection.auto_create_topics  # it depends on when kafka-python asks again

    def test_after_a_wipe_a_topic_may_have_more_partitions(self, flymq: EmbeddedBroker) -> None:
        flymq.seed("orders", ["one"])
        flymq.wipe()
        flymq.seed("orders", [{"value": "two", "partition": 2}], partitions=3)
        flymq.expect("orders", "two")


class TestRecords:
    def test_by_partition_and_offset(self, flymq: EmbeddedBroker) -> None:
        flymq.seed("orders", [{"value": str(n), "partition": n % 3} for n in range(9)], partitions=3)
        found = flymq.records("orders")
        assert [message.partition for message in found] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        assert [message.offset for message in found] == [0, 1, 2] * 3
        assert texts(found) == ["0", "3", "6", "1", "4", "7", "2", "5", "8"]
        assert texts(flymq.records("orders", partition=1)) == ["1", "4", "7"]

    def test_an_empty_topic_has_none_and_a_missing_one_is_an_error(self, flymq: EmbeddedBroker) -> None:
        flymq.create_topics({"orders": 1})
        assert flymq.records("orders") == []
        with pytest.raises(TopicNotFoundError, match="there is no topic ordres") as caught:
            flymq.records("ordres")
        assert caught.value.__notes__ == ["did you mean orders?"]
        with pytest.raises(PartitionNotFoundError, match="orders has no partition 1"):
            flymq.records("orders", partition=1)


class TestExpect:
    def test_a_number_is_at_least(self, flymq: EmbeddedBroker) -> None:
        flymq.seed("orders", ["one", "two"])
        assert texts(flymq.expect("orders")) == ["one", "two"]
        assert texts(flymq.expect("orders", 2)) == ["one", "two"]

    @pytest.mark.parametrize("wanted", ["one", b"one", ["one"], (b"one",)])
    def test_values_are_all_there_is(self, flymq: EmbeddedBroker, wanted: str | bytes | list[str]) -> None:
        flymq.seed("orders", ["one"])
        (message,) = flymq.expect("orders", wanted)
        assert message.value == b"one"
        flymq.seed("orders", ["two"])
        with pytest.raises(AssertionError, match="wanted 1 message in orders, found 2:"):
            flymq.expect("orders", wanted)

    def test_a_tombstone_is_a_value(self, flymq: EmbeddedBroker) -> None:
        flymq.seed("orders", [("ada", None)])
        assert flymq.expect("orders", None)[0].is_tombstone
        flymq.expect("orders", [None])

    def test_order_counts_in_one_partition_only(self, flymq: EmbeddedBroker) -> None:
        flymq.seed("one", ["a", "b"])
        flymq.seed("several", [{"value": "b", "partition": 0}, {"value": "a", "partition": 1}], partitions=2)
        flymq.expect("one", ["a", "b"])
        flymq.expect("several", ["a", "b"])
        flymq.expect("several", ["b", "a"])
        with pytest.raises(AssertionError):
            flymq.expect("one", ["b", "a"])

    def test_match_picks_those_that_count(self, flymq: EmbeddedBroker) -> None:
        flymq.seed("orders", [("ada", "tea"), ("bob", "tea"), ("ada", "coffee")])
        of_ada = flymq.expect("orders", ["tea", "coffee"], match=lambda message: message.key == b"ada")
        assert [message.offset for message in of_ada] == [0, 2]

    def test_it_waits_for_the_topic_and_for_each_message(self, flymq: EmbeddedBroker) -> None:
        with meanwhile(lambda: flymq.seed("late", ["one", "two"])):
            flymq.expect("late", ["one", "two"], timeout=30)
        with meanwhile(lambda: flymq.seed("late", ["three"])):
            assert texts(flymq.expect("late", 3, timeout=30)) == ["one", "two", "three"]

    def test_it_returns_as_soon_as_it_is_there(self, flymq: EmbeddedBroker) -> None:
        """And fails as soon as it can't come any more: nobody waits out these time-outs."""
        flymq.seed("orders", ["one"])
        flymq.expect("orders", "one", timeout=10_000)
        with pytest.raises(AssertionError, match=r"found 1:\n"):
            flymq.expect("orders", "two", timeout=10_000)

    def test_the_failure_shows_what_is_missing_and_what_came_instead(self, flymq: EmbeddedBroker) -> None:
        flymq.seed("orders", ["one", "two", "three", ("ada", "fuor"), "five"])
        with told(
            "wanted 5 messages in orders, found 5:",
            "    (the first 1 are as wanted)",
            "                orders-0@1 value=b'two'",
            "                orders-0@2 value=b'three'",
            "    missing     b'four'",
            "    unexpected  orders-0@3 key=b'ada' value=b'fuor'",
            "                orders-0@4 value=b'five'",
        ):
            flymq.expect("orders", ["one", "two", "three", "four", "five"])

    def test_the_failure_over_several_partitions(self, flymq: EmbeddedBroker) -> None:
        flymq.seed("orders", [{"value": f"{p}", "partition": p} for p in (2, 1, 0)], partitions=3)
        with told(
            "wanted 3 messages in orders, found 3:",
            "                orders-0@0 value=b'0'",
            "    unexpected  orders-1@0 value=b'1'",
            "                orders-2@0 value=b'2'",
            "    missing     b'3'",
        ):
            flymq.expect("orders", ["0", "3", "2"])

    def test_the_failure_of_a_number(self, flymq: EmbeddedBroker) -> None:
        flymq.seed("orders", ["one", ("ada", "two")])
        with told(
            "wanted 3 messages in orders, found 2 after 0 s:",
            "    orders-0@0 value=b'one'",
            "    orders-0@1 key=b'ada' value=b'two'",
        ):
            flymq.expect("orders", 3, timeout=0)
        flymq.create_topics({"empty": 1})
        with told("wanted 1 message in empty, found 0 after 0 s"):
            flymq.expect("empty", timeout=0)

    def test_the_failure_shows_those_that_did_not_match(self, flymq: EmbeddedBroker) -> None:
        flymq.seed("orders", [("ada", "tea"), ("bob", "tea")])
        with told(
            "wanted 2 messages in orders, found 1 after 0 s:",
            "    orders-0@0 key=b'ada' value=b'tea'",
            "  and, not matching:",
            "    orders-0@1 key=b'bob' value=b'tea'",
        ):
            flymq.expect("orders", 2, match=lambda message: message.key == b"ada", timeout=0)

    def test_the_failure_names_the_topic_that_was_meant(self, flymq: EmbeddedBroker) -> None:
        with told("wanted 1 message in orders, found 0 after 0 s: there is no topic at all"):
            flymq.expect("orders", timeout=0)
        flymq.create_topics({"orders": 1, "bills": 1})
        with told("wanted 1 message in ordres, found 0 after 0 s: there is no topic ordres; did you mean orders?"):
            flymq.expect("ordres", timeout=0)
        with told("wanted 1 message in x, found 0 after 0 s: there is no topic x; there is bills, orders"):
            flymq.expect("x", timeout=0)

    def test_the_failure_of_thousands_is_short(self, flymq: EmbeddedBroker) -> None:
        """And comes soon: to compare each with each would take minutes."""
        flymq.seed("orders", [str(number) for number in range(20_000)])
        with pytest.raises(AssertionError, match=r"and 9980 more\n  and, not matching:") as caught:
            flymq.expect("orders", 20_000, match=lambda message: message.offset % 2 == 0, timeout=0)
        assert len(str(caught.value).splitlines()) < 50

    @pytest.mark.parametrize("wanted", [{"id": 1}, [{"id": 1}], [1], ["one", ("ada", "two")]])
    def test_what_cannot_be_compared_is_told(self, flymq: EmbeddedBroker, wanted: list[str]) -> None:
        flymq.seed("orders", ["one"], partitions=2)
        with pytest.raises(TypeError, match=r"bytes, str or None, not \w+: .*match=lambda message"):
            flymq.expect("orders", wanted)


@pytest.fixture
def consumer(flymq: EmbeddedBroker) -> Iterator[Consumer]:
    """A librdkafka member of the group "kitchen", not subscribed yet."""
    made = Consumer(
        {"bootstrap.servers": flymq.bootstrap_servers, "group.id": "kitchen", "client.id": "cook",
         "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    yield made
    made.close()


class TestGroups:
    def test_committed_is_a_mapping_of_pairs(self, flymq: EmbeddedBroker, consumer: Consumer) -> None:
        assert flymq.committed("kitchen") == {}
        flymq.seed("orders", ["one", "two", "three"])
        flymq.seed("bills", ["one"])
        consumer.subscribe(["orders", "bills"])
        for _ in range(4):
            assert consumer.poll(30) is not None
        consumer.commit(asynchronous=False)
        assert flymq.committed("kitchen") == {("orders", 0): 3, ("bills", 0): 1}
        assert flymq.committed("kitchen", "bills") == {("bills", 0): 1}
        assert flymq.committed("kitchen", "others") == {}

    def test_lag_counts_what_is_not_committed(self, flymq: EmbeddedBroker, consumer: Consumer) -> None:
        with pytest.raises(GroupNotFoundError, match="kitchen"):
            flymq.lag("kitchen")
        flymq.seed("orders", [{"value": "one", "partition": n % 2} for n in range(6)], partitions=2)
        consumer.subscribe(["orders"])
        flymq.wait_for_group("kitchen", members=1, timeout=30)
        assert flymq.lag("kitchen") == 6  # no commit yet: all there is
        message = consumer.poll(30)
        assert message is not None
        consumer.commit(message, asynchronous=False)
        assert flymq.lag("kitchen") == 5
        flymq.seed("orders", ["two"])
        assert flymq.lag("kitchen") == 6

    def test_lag_counts_only_messages_that_are_there(
        self, flymq: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither those trimmed away, nor less than none where a topic is gone, or was made again."""
        rows = [
            PartitionLag("trimmed", 0, committed=None, end=10, lag=None),
            PartitionLag("gone", 0, committed=5, end=None, lag=None),
            PartitionLag("made-again", 0, committed=5, end=3, lag=0),
            PartitionLag("read-in-part", 0, committed=5, end=9, lag=4),
            PartitionLag("gone", 1, committed=None, end=None, lag=None),
        ]
        monkeypatch.setattr(GroupAdmin, "lag", lambda self, group: rows)
        monkeypatch.setattr(TopicAdmin, "offsets", lambda self, topic, at: {0: 7})
        assert flymq.lag("kitchen") == 3 + 4

    def test_waiting_for_a_group(self, flymq: EmbeddedBroker, consumer: Consumer) -> None:
        flymq.create_topics({"orders": 2})
        with meanwhile(lambda: consumer.subscribe(["orders"])):
            flymq.wait_for_group("kitchen", timeout=30)
            flymq.wait_for_group("kitchen", state="Stable", members=1, timeout=30)
        with told(
            "wanted group kitchen to be Stable with 2 members; after 0 s it is Stable with 1 member:",
            "    cook at /127.0.0.1 has orders-0, orders-1",
        ):
            flymq.wait_for_group("kitchen", members=2, timeout=0)
        with told("wanted group kitchen to be Empty; after 0 s it is Stable with 1 member:",
                  "    cook at /127.0.0.1 has orders-0, orders-1"):
            flymq.wait_for_group("kitchen", state="Empty", timeout=0)
        flymq.wipe()
        consumer.close()
        with told("wanted group cooks to be Stable; after 0 s there is no group at all"):
            flymq.wait_for_group("cooks", timeout=0)

    def test_a_group_without_members_is_empty(self, flymq: EmbeddedBroker, flymq_client: FlyMQClient) -> None:
        flymq.seed("orders", ["one"])
        with flymq_client.consumer("orders", "kitchen", auto_offset_reset="earliest") as consumer:
            next(consumer)
        flymq.wait_for_group("kitchen", state="Empty", members=0)
        with told("wanted group kitchen to be Stable; after 0 s it is Empty with no members"):
            flymq.wait_for_group("kitchen", timeout=0)
        with told("wanted group kitchn to be Stable; after 0 s there is no group kitchn; did you mean kitchen?"):
            flymq.wait_for_group("kitchn", timeout=0)

    def test_a_state_that_there_is_not_is_not_waited_for(self, flymq: EmbeddedBroker) -> None:
        with pytest.raises(ValueError, match="there is no state 'stable': did you mean Stable"):
            flymq.wait_for_group("kitchen", state="stable", timeout=10_000)
        with pytest.raises(ValueError, match="there is no state 'x': Empty, PreparingRebalance"):
            flymq.wait_for_group("kitchen", state="x", timeout=10_000)


class TestRequests:
    def test_what_the_broker_was_asked(self, flymq: EmbeddedBroker, flymq_topic: str) -> None:
        with FlyMQClient(flymq.bootstrap_servers, client_id="shop") as client:
            client.produce(flymq_topic, "one")
        (request,) = flymq.requests("Produce")
        assert (request.api, request.client_id, request.client_host) == ("Produce", "shop", "127.0.0.1")
        assert request.version >= 3
        assert request in flymq.requests()
        assert flymq.requests(client_id="shop") == flymq.requests()
        assert flymq.requests("Produce", client_id="another") == []
        apis = [seen.api for seen in flymq.requests()]
        assert (apis[0], apis[-1]) == ("ApiVersions", "Produce")

    def test_the_helpers_own_are_left_out_unless_asked_for(self, flymq: EmbeddedBroker) -> None:
        flymq.seed("orders", ["one"])
        flymq.expect("orders", "one")
        assert flymq.requests() == []
        assert flymq.requests("Produce", client_id="flymq-testing")
        assert flymq.requests("ApiVersions", client_id="flymq-probe")  # by which it saw that a broker is there

    def test_a_wipe_forgets_them(self, flymq: EmbeddedBroker, flymq_client: FlyMQClient) -> None:
        flymq_client.produce("orders", "one")
        assert flymq.requests("Produce")
        flymq.wipe()
        assert flymq.requests("Produce") == []

    def test_a_name_that_there_is_not(self, flymq: EmbeddedBroker) -> None:
        with pytest.raises(ValueError, match="there is no API 'produce': did you mean Produce"):
            flymq.requests("produce")
        with pytest.raises(ValueError, match="there is no API 'x': names are as in Produce"):
            flymq.requests("x")
