"""Fetch and ListOffsets with isolation_level 1: up to the last stable offset, and what of it was aborted."""

from __future__ import annotations

from typing import Any

import pytest

from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import iter_batches, parse_header

from .batches import a_batch, now_ms
from .client import Client
from .conftest import Disk
from .kit import Topic, a_topic, fetch, fetching, forgetting, list_offset, produce, producing, told, wanted
from .transactions import ABORT, COMMIT, Ledger, append, end, in_transaction, marking

OK = ErrorCode.NONE
LONG_MS = 15_000
PLAIN = a_batch([b"a", b"b"])
LATEST, LARGEST = -1, -3


def committed(client: Client, topic: Topic, offset: int = 0, **fields: Any) -> Any:
    return fetch(client, topic, offset, isolation_level=1, **fields)


def bases(data: Any) -> list[int]:
    return [parse_header(data.records, start).base_offset for start, _ in iter_batches(data.records)]


def aborted(data: Any) -> list[tuple[int, int]]:
    return [(one.producer_id, one.first_offset) for one in data.aborted_transactions]


@pytest.mark.parametrize("version", range(4, 19))
def test_both_levels_in_every_version(client: Client, ledger: Ledger, version: int) -> None:
    topic = a_topic(client)
    produce(client, topic, PLAIN)
    append(client, topic, 7, 0)
    produce(client, topic, PLAIN)
    for level, expected, list_of_aborted in ((0, [0, 2, 3], None), (1, [0], [])):
        data = fetch(client, topic, version=version, isolation_level=level)
        assert (bases(data), data.aborted_transactions) == (expected, list_of_aborted)
        assert (data.error_code, data.high_watermark) == (OK, 5)
        assert data.last_stable_offset == 2
    end(client, topic, 7, ABORT)
    for level, list_of_aborted in ((0, None), (1, [(7, 2)])):
        data = fetch(client, topic, version=version, isolation_level=level)
        assert bases(data) == [0, 2, 3, 5]
        assert (data.high_watermark, data.last_stable_offset) == (6, 6)
        assert (data.aborted_transactions if level == 0 else aborted(data)) == list_of_aborted


@pytest.mark.parametrize("offset", [2, 3, 4, 5, 6])
def test_from_the_last_stable_offset_to_the_end_there_is_nothing(client: Client, ledger: Ledger, offset: int) -> None:
    topic = a_topic(client)
    produce(client, topic, PLAIN)
    append(client, topic, 7, 0, count=4)
    data = committed(client, topic, offset)
    assert (data.error_code, bytes(data.records), data.aborted_transactions) == (OK, b"", [])
    assert committed(client, topic, 7).error_code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_all_aborted_transactions_that_overlap_what_is_returned(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    append(client, topic, 7, 0)  # 0
    append(client, topic, 8, 0)  # 1
    end(client, topic, 8, ABORT)  # 2
    append(client, topic, 9, 0)  # 3
    end(client, topic, 9, COMMIT)  # 4
    append(client, topic, 8, 1)  # 5
    end(client, topic, 7, ABORT)  # 6
    end(client, topic, 8, ABORT)  # 7
    append(client, topic, 9, 1)  # 8
    end(client, topic, 9, ABORT)  # 9
    append(client, topic, 8, 2)  # 10
    end(client, topic, 8, COMMIT)  # 11
    ended_at = {(8, 1): 2, (7, 0): 6, (8, 5): 7, (9, 8): 9}
    for offset in range(12):
        for count in (1, 2, 3, 12):
            data = committed(client, topic, offset, max_bytes=sum(map(len, _batches(client, topic)[offset:][:count])))
            last = bases(data)[-1]
            assert bases(data) == list(range(offset, last + 1))
            assert (last - offset + 1) in (count, 12 - offset)
            assert aborted(data) == [
                one for one, marker in ended_at.items() if marker >= offset and one[1] <= last
            ]


def _batches(client: Client, topic: Topic) -> list[bytes]:
    records = bytes(fetch(client, topic).records)
    return [records[start:stop] for start, stop in iter_batches(records)]


def test_a_transaction_that_began_before_the_fetch_offset(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    append(client, topic, 7, 0)
    produce(client, topic, PLAIN)
    end(client, topic, 7, ABORT)
    assert aborted(committed(client, topic, 1)) == [(7, 0)]
    assert aborted(committed(client, topic, 3)) == [(7, 0)]
    produce(client, topic, PLAIN)
    assert aborted(committed(client, topic, 4)) == []


# -- waiting ------------------------------------------------------------------------------------------


def test_a_parked_fetch_wakes_for_the_marker_and_not_before(client: Client, other: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    client.send(fetching(topic, wanted(), max_wait_ms=LONG_MS, isolation_level=1), 18)
    append(other, topic, 7, 0)
    append(other, topic, 7, 1)
    end(other, topic, 7, COMMIT)
    data = told(client.receive())[0]
    assert (bases(data), data.high_watermark, data.last_stable_offset) == ([0, 1, 2], 3, 3)


def test_the_deadline_of_one_that_waits_behind_a_transaction(client: Client, other: Client, ledger: Ledger) -> None:
    """The empty answer is made once and kept: it must know the last stable offset."""
    topic = a_topic(client)
    produce(client, topic, PLAIN)
    for sequence in range(2):
        client.send(fetching(topic, wanted(0, 2), max_wait_ms=150, isolation_level=1), 18)
        append(other, topic, 7, sequence)
        data = told(client.receive())[0]
        assert (bytes(data.records), data.high_watermark, data.last_stable_offset) == (b"", 3 + sequence, 2)
    end(other, topic, 7, COMMIT)
    for _ in range(2):
        data = told(client.call(fetching(topic, wanted(0, 5), max_wait_ms=1, isolation_level=1), 18))[0]
        assert (data.high_watermark, data.last_stable_offset) == (5, 5)


def test_the_kept_empty_answer_forgets_with_the_last_stable_offset(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    append(client, topic, 7, 0)
    append(client, topic, 8, 0)
    for level in (0, 1):
        data = told(client.call(fetching(topic, wanted(0, 2), max_wait_ms=1, isolation_level=level), 18))[0]
        assert (data.high_watermark, data.last_stable_offset) == (2, 0)
        assert data.aborted_transactions == ([] if level else None)


def test_min_bytes_count_to_the_last_stable_offset(client: Client, other: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    produce(client, topic, PLAIN)
    request = fetching(topic, wanted(), max_wait_ms=LONG_MS, isolation_level=1, min_bytes=len(PLAIN) + 1)
    client.send(request, 18)
    append(other, topic, 7, 0)
    append(other, topic, 7, 1)
    end(other, topic, 7, ABORT)
    assert bases(told(client.receive())[0]) == [0, 2, 3, 4]


def test_a_marker_that_is_not_durable_ends_nothing_yet(
    client: Client, other: Client, ledger: Ledger, disk: Disk
) -> None:
    topic = a_topic(client)
    other.send(producing(topic, in_transaction(7, 0), transactional_id="t", acks=1), 13)
    other.receive()
    other.send(marking(topic, 7, COMMIT), 2)
    disk.wait_for(2)
    data = committed(client, topic)
    assert (bases(data), data.high_watermark, data.last_stable_offset) == ([], 0, 0)
    disk.release()
    other.receive()
    assert bases(committed(client, topic)) == [0, 1]


def test_a_session_goes_on_over_the_end_of_a_transaction(client: Client, other: Client, ledger: Ledger) -> None:
    topic = a_topic(client, 2)
    append(other, topic, 7, 0)
    first = client.call(fetching(topic, wanted(0), wanted(1), isolation_level=1, session_epoch=0), 18)
    assert [len(data.records) for data in told(first).values()] == [0, 0]
    end(other, topic, 7, ABORT)
    fields = {"session_id": first.session_id, "isolation_level": 1}
    data = told(client.call(fetching(None, **fields, session_epoch=1), 18))
    assert (list(data), bases(data[0]), aborted(data[0])) == ([0], [0, 1], [(7, 0)])
    left = client.call(fetching(None, **fields, session_epoch=2, forgotten_topics_data=forgetting(topic, 0)), 18)
    assert told(left) == {}


# -- ListOffsets --------------------------------------------------------------------------------------


def listed(client: Client, topic: Topic, timestamp: int, level: int) -> tuple[int, int]:
    answer = list_offset(client, topic, timestamp, isolation_level=level)
    assert answer.error_code == OK
    return answer.offset, answer.timestamp


def test_offsets_are_listed_up_to_the_last_stable_one(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    produce(client, topic, a_batch([b"a", b"b"], timestamps=[1000, 2000]))
    append(client, topic, 7, 0)
    produce(client, topic, a_batch([b"c"], timestamps=[now_ms() + 60_000]))
    assert [listed(client, topic, LATEST, level) for level in (0, 1)] == [(4, -1), (2, -1)]
    assert [listed(client, topic, 1500, level) for level in (0, 1)] == [(1, 2000), (1, 2000)]
    assert [listed(client, topic, 2001, level)[0] for level in (0, 1)] == [2, -1]
    assert [listed(client, topic, LARGEST, level)[0] for level in (0, 1)] == [3, 1]
    end(client, topic, 7, ABORT)
    assert [listed(client, topic, LATEST, level) for level in (0, 1)] == [(5, -1), (5, -1)]


def test_earliest_is_the_same(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    append(client, topic, 7, 0)
    assert [listed(client, topic, -2, level) for level in (0, 1)] == [(0, -1), (0, -1)]
