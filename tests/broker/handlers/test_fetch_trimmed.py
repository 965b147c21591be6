"""A fetch whose bytes come from the disk while their segments are deleted, or cleaned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flymq.broker.context import RequestContext, Services
from flymq.broker.handlers import k01_fetch
from flymq.core.settings import BrokerConfig
from flymq.runtime.fetch_sessions import FetchSessions
from flymq.runtime.waiting import OnLoan, Pending
from flymq.storage.files import FilesEngine
from flymq_protocol.api.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from tests.runtime.test_partition_transactions import append, fill_a_segment, mark, open_partition, run  # noqa: F401
from tests.storage import cleaning
from tests.storage.batches import TOPIC_ID, Runner
from tests.wire.transactions import ABORT

COMMITTED, UNCOMMITTED = 1, 0


@pytest.mark.parametrize(("level", "change", "records"), [
    (COMMITTED, None, True), (COMMITTED, "trim", False), (UNCOMMITTED, "trim", True),
    (COMMITTED, "clean", False), (UNCOMMITTED, "clean", True),
])
def test_no_aborted_records_go_out_without_being_told_so(
    run: Runner, tmp_path: Path, level: int, change: str | None, records: bool  # noqa: F811
) -> None:
    run.env.files.read_cached = lambda fd, buffer, position: -1  # type: ignore[method-assign]
    engine = FilesEngine(str(tmp_path / "data"), run.env, durability="os")
    services = Services()
    services.env = run.env
    services.config = BrokerConfig()  # type: ignore[assignment,unused-ignore]
    services.fetch_sessions = FetchSessions(run.env, 10)
    partition = open_partition(run, engine.logs)
    services.partitions = _Only(partition)  # type: ignore[assignment]
    append(partition, 7, 0)
    mark(run, partition, 7, ABORT)
    fill_a_segment(partition)
    topics = [FetchTopic(topic_id=TOPIC_ID, partitions=[FetchPartition(0, fetch_offset=0, partition_max_bytes=200)])]
    request = FetchRequest(isolation_level=level, session_epoch=-1, max_bytes=1 << 20, topics=topics)
    pending = k01_fetch.handle(RequestContext(1, 18, None, "", ("", 0)), request, services)
    assert isinstance(pending, Pending)
    if change == "trim":
        partition.log.log_start = partition.store.segments()[-1].base_offset
        deleted = partition.store.trim(partition.log.log_start)
        run.wait(pending.token)
        run.wait(deleted)
    run.wait(pending.token)
    if change == "clean":  # while other partitions of the fetch are being read
        cleaning.without_processes(run.env)
        cleaning.clean(run, partition.store)
    answer: Any = pending.finish(pending.token.result)
    response = answer.response if isinstance(answer, OnLoan) else answer
    (data,) = response.responses[0].partitions
    assert (data.error_code, len(data.records) > 0) == (0, records)
    if level == COMMITTED:
        assert [one.producer_id for one in data.aborted_transactions] == ([7] if records else [])
    if isinstance(answer, OnLoan):
        for chunk in answer.chunks:
            chunk.release()
    run.wait(engine.close())


class _Only:
    """One partition, whatever is asked for."""

    def __init__(self, partition: Any) -> None:
        self._partition = partition

    def find_by_id(self, topic_id: bytes, index: int) -> Any:
        return self._partition
