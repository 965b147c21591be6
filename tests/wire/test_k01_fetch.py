"""Fetch on the wire: whole batches, limits, sessions, and waiting."""

from __future__ import annotations

import time
from typing import Any

import pytest

from flymq_protocol.api.k01_fetch import FetchTopic
from flymq_protocol.errors import ErrorCode

from .batches import a_batch, stored
from .client import Client
from .conftest import Disk
from .kit import (
    NO_ID,
    Topic,
    a_topic,
    drop_topic,
    fetch,
    fetching,
    forgetting,
    is_silent,
    produce,
    producing,
    told,
    wanted,
)
from .marks import deviates

OK = ErrorCode.NONE
LONG_MS = 15_000  # a test that waits this long has failed
SMALL = a_batch([b"a", b"b", b"c"])
BIG = a_batch([b"x" * 1000])


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, 2)
    produce(client, topic, SMALL)
    produce(client, topic, BIG)
    data = told(client.call(fetching(topic, wanted(0), wanted(1)), version))
    assert (data[0].error_code, data[0].high_watermark, data[0].last_stable_offset) == (OK, 4, 4)
    assert bytes(data[0].records) == stored(SMALL, 0) + stored(BIG, 3)
    assert data[0].aborted_transactions is None
    assert data[0].preferred_read_replica == -1
    assert (data[1].high_watermark, bytes(data[1].records)) == (0, b"")


# -- what is read -------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_an_offset_inside_a_batch_gives_that_batch(client: Client, offset: int) -> None:
    topic = a_topic(client)
    produce(client, topic, SMALL)
    produce(client, topic, BIG)
    assert bytes(fetch(client, topic, offset).records) == stored(SMALL, 0) + stored(BIG, 3)
    assert bytes(fetch(client, topic, 3).records) == stored(BIG, 3)


UNLIKE_KAFKA = deviates("A limit below 0 is UNKNOWN_SERVER_ERROR")


@pytest.mark.parametrize("limits", [
    {"max_bytes": 1}, {"max_bytes": 0}, {"partition": 1}, {"partition": 0},
    pytest.param({"max_bytes": -1}, marks=UNLIKE_KAFKA), pytest.param({"partition": -5}, marks=UNLIKE_KAFKA),
])
def test_the_first_batch_comes_whole_whatever_the_limits(client: Client, limits: dict[str, int]) -> None:
    topic = a_topic(client)
    for _ in range(2):
        produce(client, topic, BIG)
    fields = {"max_bytes": limits["max_bytes"]} if "max_bytes" in limits else {}
    request = fetching(topic, wanted(0, 0, limits.get("partition", 1 << 20)), **fields)
    assert bytes(told(client.call(request, 18))[0].records) == stored(BIG, 0)


def test_only_the_first_partition_with_data_may_exceed_the_limits(client: Client) -> None:
    topic = a_topic(client, 4)
    for index in (1, 2, 3):
        produce(client, topic, BIG, index)
    partitions = [wanted(0), wanted(1, 0, 1), wanted(2, 0, 1), wanted(3)]
    data = told(client.call(fetching(topic, *partitions), 18))
    assert [len(data[index].records) for index in range(4)] == [0, len(BIG), 0, len(BIG)]
    data = told(client.call(fetching(topic, *partitions, max_bytes=len(BIG) + 10), 18))
    assert [len(data[index].records) for index in range(4)] == [0, len(BIG), 0, 0]
    assert data[3].high_watermark == 1


@deviates("Fetch may cut the last batch")
def test_limits_cut_between_batches(client: Client) -> None:
    topic = a_topic(client)
    for _ in range(5):
        produce(client, topic, BIG)
    for size in (2 * len(BIG), 3 * len(BIG) - 1):
        for request in (fetching(topic, wanted(0, 0, size)), fetching(topic, wanted(), max_bytes=size)):
            assert bytes(told(client.call(request, 18))[0].records) == stored(BIG, 0) + stored(BIG, 1)


def test_partitions_come_in_the_order_of_the_request(client: Client) -> None:
    topic, second = a_topic(client, 3), a_topic(client)
    request = fetching(topic, wanted(2), wanted(0))
    request.topics.append(FetchTopic(second.name, second.id, [wanted(0)]))
    response = client.call(request, 18)
    found = [(one.topic_id, data.partition_index) for one in response.responses for data in one.partitions]
    assert found == [(topic.id, 2), (topic.id, 0), (second.id, 0)]


def test_between_high_watermark_and_log_end_is_nothing_and_no_error(client: Client, disk: Disk) -> None:
    topic = a_topic(client)
    produce(client, topic, SMALL, acks=1)
    for offset in (0, 2, 3):
        data = fetch(client, topic, offset, isolation_level=1)
        assert (data.error_code, data.high_watermark, bytes(data.records)) == (OK, 0, b"")
    assert fetch(client, topic, 4).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    disk.release()
    assert fetch(client, topic, 0, max_wait_ms=LONG_MS).high_watermark == 3


def test_read_committed_gets_a_list_of_aborted_transactions(client: Client) -> None:
    topic = a_topic(client)
    produce(client, topic, SMALL)
    data = fetch(client, topic, isolation_level=1)
    assert (data.last_stable_offset, data.aborted_transactions) == (3, [])
    assert bytes(data.records) == stored(SMALL, 0)


# -- errors -------------------------------------------------------------------------------------------


def has_failed(data: Any, code: ErrorCode) -> bool:
    """Watermarks are -1 and records zero-length, not null."""
    return (data.error_code, data.high_watermark, data.last_stable_offset, data.log_start_offset) == (
        code, -1, -1, -1
    ) and data.records is not None and len(data.records) == 0


@pytest.mark.parametrize("offset", [4, -1, 2**63 - 1, -(2**63)])
def test_out_of_range(client: Client, offset: int) -> None:
    topic = a_topic(client)
    produce(client, topic, SMALL)
    assert fetch(client, topic, 3).error_code == OK
    refused = fetch(client, topic, offset)
    assert has_failed(refused, ErrorCode.OFFSET_OUT_OF_RANGE)
    assert refused.aborted_transactions is None


@pytest.mark.parametrize(
    ("version", "code"), [(12, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), (13, ErrorCode.UNKNOWN_TOPIC_ID)]
)
@pytest.mark.parametrize("name", ["wire-none", "a/b"])
def test_unknown_topics(client: Client, name: str, version: int, code: ErrorCode) -> None:
    assert has_failed(fetch(client, Topic(name, b"n" * 16), version=version), code)


@deviates("Internal topics have records")
def test_an_internal_topic_is_unreadable(client: Client) -> None:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert has_failed(fetch(client, Topic("__consumer_offsets", NO_ID), version=12), code)


@pytest.mark.parametrize("version", [4, 12, 13, 18])
@pytest.mark.parametrize("index", [1, -1, 2**31 - 1])
def test_unknown_partitions(client: Client, index: int, version: int) -> None:
    response = client.call(fetching(a_topic(client), wanted(index)), version)
    assert has_failed(told(response)[index], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


@pytest.mark.parametrize("version", [9, 12, 18])
def test_a_newer_epoch_is_unknown(client: Client, version: int) -> None:
    topic = a_topic(client)
    produce(client, topic, SMALL)
    assert told(client.call(fetching(topic, wanted(current_leader_epoch=0)), version))[0].error_code == OK
    newer = client.call(fetching(topic, wanted(current_leader_epoch=1)), version)
    assert has_failed(told(newer)[0], ErrorCode.UNKNOWN_LEADER_EPOCH)


def test_last_fetched_epoch(client: Client) -> None:
    """Our end of that epoch is before the client's offset only where the client has what we never had."""
    topic = a_topic(client)
    produce(client, topic, SMALL)
    same = told(client.call(fetching(topic, wanted(0, 3, last_fetched_epoch=0)), 12))[0]
    assert (same.error_code, same.diverging_epoch.epoch) == (OK, -1)


def test_one_bad_partition_does_not_hold_back_the_others_nor_wait(client: Client) -> None:
    topic = a_topic(client, 2)
    produce(client, topic, SMALL, 1)
    request = fetching(topic, wanted(0, 7), wanted(1, 3), min_bytes=1, max_wait_ms=LONG_MS)
    started = time.monotonic()
    data = told(client.call(request, 18))
    assert time.monotonic() - started < LONG_MS / 2000
    assert (data[0].error_code, data[1].high_watermark) == (ErrorCode.OFFSET_OUT_OF_RANGE, 3)


def test_a_partition_that_is_not_there_is_told_with_what_the_others_have(client: Client, other: Client) -> None:
    topic = a_topic(client, 2)
    client.send(fetching(topic, wanted(5), wanted(1), max_wait_ms=LONG_MS), 18)
    assert is_silent(client)
    produce(other, topic, SMALL, 1)
    data = told(client.receive())
    assert (data[5].error_code, bytes(data[1].records)) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, stored(SMALL, 0))


def test_only_partitions_that_are_not_there_are_told_at_once(client: Client) -> None:
    started = time.monotonic()
    data = told(client.call(fetching(a_topic(client), wanted(5), wanted(6), max_wait_ms=LONG_MS), 18))
    assert time.monotonic() - started < LONG_MS / 2000
    assert [data[index].error_code for index in (5, 6)] == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION] * 2


# -- waiting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_wait_ms", [0, -1])
def test_no_wait(client: Client, max_wait_ms: int) -> None:
    assert bytes(fetch(client, a_topic(client), max_wait_ms=max_wait_ms).records) == b""


def test_nothing_asked_is_answered_at_once(client: Client) -> None:
    assert client.call(fetching(None, max_wait_ms=LONG_MS), 18).responses == []


@pytest.mark.parametrize("min_bytes", [0, -1])
def test_no_minimum_is_answered_at_once(client: Client, min_bytes: int) -> None:
    assert bytes(fetch(client, a_topic(client), min_bytes=min_bytes, max_wait_ms=LONG_MS).records) == b""


def test_the_deadline_ends_the_wait(client: Client) -> None:
    topic = a_topic(client)
    started = time.monotonic()
    data = fetch(client, topic, max_wait_ms=60)
    assert time.monotonic() - started >= 0.06
    assert (data.error_code, data.high_watermark, bytes(data.records)) == (OK, 0, b"")


def test_an_append_ends_the_wait(client: Client, other: Client) -> None:
    topic = a_topic(client, 3)
    client.send(fetching(topic, wanted(0), wanted(1), wanted(2), max_wait_ms=LONG_MS), 18)
    assert is_silent(client)
    produce(other, topic, SMALL, 1)
    data = told(client.receive())
    assert bytes(data[1].records) == stored(SMALL, 0)
    assert [data[index].high_watermark for index in range(3)] == [0, 3, 0]


def test_the_wait_goes_on_until_there_is_enough(client: Client, other: Client) -> None:
    topic = a_topic(client, 2)
    client.send(fetching(topic, wanted(0), wanted(1), min_bytes=2 * len(BIG), max_wait_ms=LONG_MS), 18)
    produce(other, topic, BIG, 0)
    assert is_silent(client)
    produce(other, topic, BIG, 1)
    assert [len(data.records) for data in told(client.receive()).values()] == [len(BIG)] * 2


def test_less_than_enough_is_given_at_the_deadline(client: Client) -> None:
    topic = a_topic(client)
    produce(client, topic, BIG)
    assert bytes(fetch(client, topic, min_bytes=1 << 20, max_wait_ms=30).records) == stored(BIG, 0)


@pytest.mark.parametrize("min_bytes", [1, 1 << 20])
@pytest.mark.parametrize("version", [12, 18])
def test_deletion_ends_the_wait(client: Client, other: Client, version: int, min_bytes: int) -> None:
    topic = a_topic(client)
    client.send(fetching(topic, wanted(), min_bytes=min_bytes, max_wait_ms=LONG_MS), version)
    assert is_silent(client)
    drop_topic(other, topic)
    assert has_failed(told(client.receive())[0], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def test_durability_ends_the_wait_and_not_the_append(client: Client, other: Client, disk: Disk) -> None:
    topic = a_topic(client)
    client.send(fetching(topic, wanted(), max_wait_ms=LONG_MS), 18)
    produce(other, topic, SMALL, acks=1)
    assert is_silent(client)
    disk.release()
    assert bytes(told(client.receive())[0].records) == stored(SMALL, 0)


@deviates("One request of a connection at a time")
def test_what_is_pipelined_behind_a_wait_is_applied_and_answered_in_order(client: Client) -> None:
    """The produce behind the fetch is what wakes it."""
    topic = a_topic(client)
    waited, produced, again = client.pipeline(
        (fetching(topic, wanted(), max_wait_ms=LONG_MS), 18),
        (producing(topic, SMALL), 13),
        (fetching(topic, wanted(), max_wait_ms=LONG_MS), 18),
    )
    assert bytes(told(waited)[0].records) == bytes(told(again)[0].records) == stored(SMALL, 0)
    assert produced.responses[0].partition_responses[0].base_offset == 0


# -- sessions -----------------------------------------------------------------------------------------


class Session:
    """A consumer's session: epochs are counted here."""

    def __init__(self, client: Client, topic: Topic, *indexes: int, version: int = 18) -> None:
        self.client, self.topic, self.version = client, topic, version
        full = self._call([wanted(index) for index in indexes], session_id=0, session_epoch=0)
        self.id = full.session_id
        self.epoch = 1
        self.first = told(full)

    def next(self, *partitions: Any, forget: tuple[int, ...] = (), **fields: Any) -> dict[int, Any]:
        forgotten = forgetting(self.topic, *forget) if forget else []
        response = self._call(
            list(partitions), session_id=self.id, session_epoch=self.epoch, forgotten_topics_data=forgotten, **fields
        )
        assert (response.error_code, response.session_id) == (OK, self.id)
        self.epoch += 1
        return told(response)

    def _call(self, partitions: list[Any], **fields: Any) -> Any:
        topic = self.topic if partitions else None
        return self.client.call(fetching(topic, *partitions, **fields), self.version)


@pytest.mark.parametrize("version", [7, 12, 13, 18])
def test_a_session_tells_only_what_is_new(client: Client, other: Client, version: int) -> None:
    topic = a_topic(client, 3)
    session = Session(client, topic, 0, 1, 2, version=version)
    assert session.id > 0
    assert list(session.first) == [0, 1, 2]
    assert session.next() == {}
    produce(other, topic, SMALL, 1)
    told_now = session.next()
    assert (list(told_now), bytes(told_now[1].records)) == ([1], stored(SMALL, 0))
    assert list(session.next()) == [1]  # still not read
    assert list(session.next(wanted(1, 3))) == []  # read, and its watermark is known


def test_a_session_tells_a_new_watermark_without_records(client: Client, other: Client) -> None:
    topic = a_topic(client, 2)
    session = Session(client, topic, 0, 1)
    produce(other, topic, BIG, 0)
    produce(other, topic, BIG, 1)
    told_now = session.next(max_bytes=1)
    assert [(index, data.high_watermark, len(data.records)) for index, data in told_now.items()] == [
        (0, 1, len(BIG)), (1, 1, 0)
    ]


def test_who_got_something_waits_until_the_others_had_their_turn(client: Client, other: Client) -> None:
    topic = a_topic(client, 3)
    session = Session(client, topic, 0, 1, 2)
    for index in range(3):
        for _ in range(2):
            produce(other, topic, BIG, index)
    served = []
    offsets = dict.fromkeys(range(3), 0)
    read: list[Any] = []
    for _ in range(6):
        data = session.next(*read, max_bytes=1)
        (index,) = [index for index, one in data.items() if len(one.records)]
        offsets[index] += 1
        read = [wanted(index, offsets[index])]
        served.append(index)
    assert served == [0, 1, 2, 0, 1, 2]


def test_partitions_are_added_changed_and_forgotten(client: Client, other: Client) -> None:
    topic = a_topic(client, 3)
    session = Session(client, topic, 0)
    assert list(session.next(wanted(2))) == [2]
    for index in range(3):
        produce(other, topic, SMALL, index)
    assert list(session.next()) == [0, 2]
    assert list(session.next(wanted(1), forget=(0,))) == [2, 1]
    assert list(session.next(forget=(1,))) == [2]
    forgotten = forgetting(topic, 2)
    last = fetching(None, session_id=session.id, session_epoch=session.epoch, forgotten_topics_data=forgotten)
    assert (client.call(last, 18).session_id, client.call(last, 18).error_code) == (
        0, ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    ), "the last one that is forgotten ends the session"  # fmt: skip


def test_an_error_is_told_each_time_and_so_is_its_end(client: Client, other: Client) -> None:
    topic = a_topic(client, 2)
    session = Session(client, topic, 0, 1)
    out_of_range = session.next(wanted(0, 7))
    assert has_failed(out_of_range[0], ErrorCode.OFFSET_OUT_OF_RANGE)
    assert has_failed(session.next()[0], ErrorCode.OFFSET_OUT_OF_RANGE)
    good = session.next(wanted(0, 0))
    assert (good[0].error_code, good[0].high_watermark) == (OK, 0)  # as it was before the error, but told again
    assert session.next() == {}


def test_a_session_survives_the_deletion_of_a_topic(client: Client, other: Client) -> None:
    gone, kept = a_topic(client), a_topic(client)
    session = Session(client, gone, 0)
    session.topic = kept
    assert list(session.next(wanted(1))) == [1]
    drop_topic(other, gone)
    for _ in range(2):
        codes = {index: data.error_code for index, data in session.next().items()}
        assert codes == dict.fromkeys((0, 1), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert fetch(client, gone).error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_a_session_waits_and_is_woken(client: Client, other: Client) -> None:
    topic = a_topic(client, 2)
    session = Session(client, topic, 0, 1)
    client.send(fetching(None, session_id=session.id, session_epoch=1, max_wait_ms=LONG_MS), 18)
    assert is_silent(client)
    produce(other, topic, SMALL, 1)
    assert list(told(client.receive())) == [1]


def test_pipelined_fetches_of_a_session_each_get_what_they_asked(client: Client, other: Client) -> None:
    """The first waits while the second goes elsewhere: it must not answer from the second's offset.

    Kafka looks at the second once the first is answered: then there is more behind what it asked for.
    """
    topic = a_topic(client)
    produce(client, topic, SMALL)
    session = Session(client, topic, 0)
    for epoch, offset in ((1, 3), (2, 0)):
        fields = {"session_id": session.id, "session_epoch": epoch, "max_wait_ms": LONG_MS}
        client.send(fetching(topic, wanted(0, offset), **fields), 18)
    assert is_silent(client)
    produce(other, topic, BIG)
    assert bytes(told(client.receive())[0].records) == stored(BIG, 3)
    assert bytes(told(client.receive())[0].records).startswith(stored(SMALL, 0))


def top_level(client: Client, version: int = 18, **fields: Any) -> int:
    response = client.call(fetching(None, **fields), version)
    assert response.responses == []
    return int(response.error_code)


def test_session_errors(client: Client) -> None:
    topic = a_topic(client)
    session = Session(client, topic, 0)
    assert top_level(client, session_id=session.id, session_epoch=2) == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert top_level(client, session_id=session.id, session_epoch=-2) == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert top_level(client, session_id=session.id ^ 1, session_epoch=1) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert top_level(client, 12, session_id=session.id, session_epoch=1) == ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR
    assert session.next() == {}  # none of it has harmed the session


def test_a_closed_session_is_gone(client: Client) -> None:
    topic = a_topic(client)
    session = Session(client, topic, 0)
    closed = client.call(fetching(topic, wanted(), session_id=session.id, session_epoch=-1), 18)
    assert (closed.error_code, closed.session_id, list(told(closed))) == (OK, 0, [0])
    assert top_level(client, session_id=session.id, session_epoch=1) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_a_full_fetch_drops_the_session_that_it_names(client: Client) -> None:
    topic = a_topic(client)
    session = Session(client, topic, 0)
    full = client.call(fetching(topic, wanted(), session_id=session.id, session_epoch=0), 18)
    assert full.session_id not in (0, session.id)
    assert top_level(client, session_id=session.id, session_epoch=1) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_without_a_session_nothing_is_kept_back(client: Client) -> None:
    topic = a_topic(client)
    for _ in range(2):
        response = client.call(fetching(topic, wanted()), 18)
        assert (response.session_id, list(told(response))) == (0, [0])


def test_a_topic_without_an_id(client: Client) -> None:
    assert has_failed(fetch(client, Topic("", NO_ID)), ErrorCode.UNKNOWN_TOPIC_ID)
