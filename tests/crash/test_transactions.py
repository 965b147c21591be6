"""A broker that is killed between any two steps of EndTxn: two partitions and a group end alike, all of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compat_tests.broker_process import BrokerProcess
from flymq_protocol.api.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from flymq_protocol.api.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from flymq_protocol.api.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from flymq_protocol.errors import ErrorCode
from tests.wire.client import Client, Closed
from tests.wire.kit import Topic, a_topic, fetching, producing, told, wanted
from tests.wire.transactions import in_transaction
from tests.wire.txn import add, end, init

NONE = ErrorCode.NONE
COMMITTED = 1
OFFSET = 5
POINTS = ["txn.prepared", "txn.marker_written", "txn.marked", "txn.groups_ended", "txn.completed"]
ONE = "txn"
One = tuple[str, int, int]


class Crashing:
    """A broker with a folder, and a transaction in it."""

    def __init__(self, folder: Path, durability: str) -> None:
        self.process = BrokerProcess(folder, {"flymq.durability": durability})
        self._lives = self.process.command
        self.topic: Topic

    @contextmanager
    def life(self, deadly: str | None = None) -> Iterator[Client]:
        """A run that ends with SIGKILL: its own at that point, else ours."""
        script = [sys.executable, str(Path(__file__).with_name("dying_broker.py")), deadly or ""]
        self.process.command = [*script, *self._lives[1:]]
        self.process.start()
        try:
            with Client(self.process.port) as client:
                yield client
        finally:
            self.process.kill()

    def open(self, client: Client, version: int, sequence: int = 0) -> One:
        """Two partitions and a group are in it. Before v5 each is added first."""
        one = (ONE, *init(client, ONE))
        bumps = version >= 5
        if not bumps:
            assert add(client, *one, self.topic, 0, 1) == [NONE, NONE]
            assert client.call(AddOffsetsToTxnRequest(*one, "group"), 3).error_code == NONE
        for index in (0, 1):
            batch = in_transaction(one[1], sequence, epoch=one[2])
            request = producing(self.topic, batch, index, transactional_id=ONE)
            (answer,) = client.call(request, 13 if bumps else 11).responses
            assert answer.partition_responses[0].error_code == NONE
        partition = TxnOffsetCommitRequestPartition(0, OFFSET, committed_metadata="")
        topics = [TxnOffsetCommitRequestTopic(self.topic.name, [partition])]
        request = TxnOffsetCommitRequest(ONE, "group", one[1], one[2], topics=topics)
        (answer,) = client.call(request, version if bumps else 3).topics
        assert answer.partitions[0].error_code == NONE
        return one

    def outcomes(self, client: Client) -> list[bool]:
        """Of both partitions and the group: whether it is committed. None of them may still be open."""
        found = []
        fetched = client.call(fetching(self.topic, wanted(0), wanted(1), isolation_level=COMMITTED), 18)
        for data in told(fetched).values():
            assert data.last_stable_offset == data.high_watermark == 2, "one batch and one marker"
            found.append(not data.aborted_transactions)
        wanted_topics = [OffsetFetchRequestTopics(self.topic.name, self.topic.id, [0])]
        groups = [OffsetFetchRequestGroup("group", topics=wanted_topics)]
        request = OffsetFetchRequest(groups=groups, require_stable=True)
        (topic,) = client.call(request, 10).groups[0].topics
        assert topic.partitions[0].error_code == NONE
        return [*found, topic.partitions[0].committed_offset == OFFSET]


def until_ended(client: Client, one: One, commit: bool, version: int) -> int:
    """Ask again as clients do; the error code."""
    code = int(ErrorCode.CONCURRENT_TRANSACTIONS)
    while code == ErrorCode.CONCURRENT_TRANSACTIONS:
        code = end(client, *one, commit, version=version)[0]
    return code


@pytest.fixture(params=["os", "fsync"])
def crashing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crashing]:
    broker = Crashing(tmp_path / "data", request.param)
    yield broker
    broker.process.__exit__()


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("point", POINTS)
def test_what_was_decided_is_done(crashing: Crashing, point: str, commit: bool, version: int) -> None:
    with crashing.life(point) as client:
        crashing.topic = a_topic(client, 2)
        one = crashing.open(client, version)
        with pytest.raises(Closed):
            end(client, *one, commit, version=version)
    with crashing.life() as client:
        assert until_ended(client, one, commit, version) == NONE
        assert crashing.outcomes(client) == [commit] * 3
        assert end(client, *one, not commit, version=version)[0] == ErrorCode.INVALID_TXN_STATE


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("commit", [True, False])
def test_what_was_not_decided_is_still_open(crashing: Crashing, commit: bool, version: int) -> None:
    with crashing.life() as client:
        crashing.topic = a_topic(client, 2)
        one = crashing.open(client, version)
    with crashing.life() as client:
        assert until_ended(client, one, commit, version) == NONE
        assert crashing.outcomes(client) == [commit] * 3


def test_what_nobody_comes_back_for_is_aborted(crashing: Crashing) -> None:
    with crashing.life() as client:
        crashing.topic = a_topic(client, 2)
        crashing.open(client, 5)
    with crashing.life() as client:
        init(client, ONE)
        assert crashing.outcomes(client) == [False] * 3


def test_the_points_are_those_of_the_code() -> None:
    root = Path(__file__).parents[2]
    code = "".join(path.read_text() for path in (root / "flymq").rglob("*.py"))
    assert sorted(re.findall(r'reached\("(txn\.\w+)"\)', code)) == sorted(POINTS)
