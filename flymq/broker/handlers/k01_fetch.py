"""Fetch: v4-18.

Reads whole record batches, waiting for data where there is not enough.

Versions:
    v7: incremental fetch sessions (KIP-227).
    v9: current_leader_epoch is checked (KIP-320).
    v12: last_fetched_epoch is checked, diverging_epoch is answered (KIP-595).
    v13: topics by id (KIP-516).
    v16: current_leader and node_endpoints with FENCED_LEADER_EPOCH (KIP-951).
Behaviour:
    * Answers at once where max_wait_ms <= 0, nothing is asked of a partition that is there, one of them is in
      error, or min_bytes are there; else parks until then, or the deadline.
    * Batches are whole, beginning with the one that contains the offset; the first partition with data
      gives one batch whatever the limits.
    * Reads stop at the high watermark, with isolation_level 1 (read_committed) at the last stable offset; between
      there and the log end there is nothing, without an error.
    * aborted_transactions: null for read_uncommitted, else all that overlap the records of the answer.
    * Left out: followers.
Errors:
    Top-level: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR.
    Per partition: those of `FetchTarget.check`; records are then empty, not null.
Source:
    KafkaApis.handleFetchRequest, DelayedFetch in Apache Kafka 4.
"""

from __future__ import annotations

from functools import partial

from flymq.broker.context import RequestContext, Services
from flymq.env import Token, gather
from flymq.runtime.fetch_sessions import FetchPlan
from flymq.runtime.fetching import FetchTarget, ParkedFetch, aborted_in, read, survey
from flymq.runtime.waiting import Ended, OnLoan, Pending
from flymq.storage.api import Chunk
from flymq_protocol.api.k01_fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
)
from flymq_protocol.errors import ErrorCode

_READ_COMMITTED = 1
_LEADERS_FROM_VERSION = 16
_NOTHING = memoryview(b"")


def handle(ctx: RequestContext, request: FetchRequest, services: Services) -> FetchResponse | OnLoan | Pending:
    plan = services.fetch_sessions.plan(request, ctx.api_version)
    if plan.error:
        return FetchResponse(error_code=plan.error)
    fetch = _Fetch(ctx, plan, services, request)
    targets = plan.targets
    read_committed = request.isolation_level == _READ_COMMITTED
    ready = survey(targets, services.partitions, request.min_bytes, read_committed)
    if ready or request.max_wait_ms <= 0 or not targets:
        return fetch.answer()
    parked = ParkedFetch(
        services.env, services.partitions, targets, request.min_bytes, request.max_wait_ms, read_committed
    )
    return Pending(parked.token, fetch.woken)


class _Fetch:
    """One fetch on its way from survey to response: only copies of what the request said."""

    __slots__ = ("_bytes_max", "_bytes_min", "_ctx", "_plan", "_read_committed", "_services")

    def __init__(self, ctx: RequestContext, plan: FetchPlan, services: Services, request: FetchRequest) -> None:
        self._ctx = ctx
        self._plan = plan
        self._services = services
        self._bytes_min = request.min_bytes
        self._bytes_max = min(request.max_bytes, services.config.int("fetch.max.bytes"))
        self._read_committed = request.isolation_level == _READ_COMMITTED

    def woken(self, result: object) -> FetchResponse | bytes | OnLoan | Pending:
        """The wait is over: there is data, or the deadline has come."""
        if result is Ended.DISCONNECT:
            return FetchResponse()
        targets = self._plan.targets
        if result is Ended.DEADLINE and self._bytes_min <= 1:
            # Any byte, and any change of state, would have woken it: the survey still holds.
            if len(targets) == 1 and self._plan.session is None:
                return self._nothing_new(targets[0])
            return self._respond([None] * len(targets))
        survey(targets, self._services.partitions, 0, self._read_committed)
        return self.answer()

    def _nothing_new(self, target: FetchTarget) -> bytes | FetchResponse | OnLoan:
        """The empty answer about one partition, encoded: thousands may get the same one, again and again."""
        partition = target.partition
        if partition is None or target.error:
            return self._respond([None])
        log = partition.log
        key = (self._ctx.api_version, self._read_committed)
        known = partition.nothing_new.get(key)
        stable = log.last_stable_offset
        if known is not None and known[:3] == (log.high_watermark, stable, log.log_start):
            return known[3]
        response = self._respond([None])
        assert isinstance(response, FetchResponse)
        body = response.encode(self._ctx.api_version)
        partition.nothing_new[key] = (log.high_watermark, stable, log.log_start, body)
        return body

    def answer(self) -> FetchResponse | OnLoan | Pending:
        found, cold = read(self._plan.targets, self._bytes_max, self._read_committed)
        if cold:
            return Pending(gather(cold), partial(self._read_done, found))
        return self._respond(found)

    def _read_done(self, found: list[Chunk | Token | None], result: object) -> FetchResponse | OnLoan:
        if result is Ended.DISCONNECT:
            # Reads that are still under way must not keep their buffers from the pool.
            for item in found:
                if isinstance(item, Token):
                    item.then(_release)
                elif item is not None:
                    item.release()
            return FetchResponse()
        chunks: list[Chunk | Token | None] = []
        for target, item in zip(self._plan.targets, found, strict=True):
            chunk = item.result if isinstance(item, Token) else item
            if isinstance(chunk, Exception) or (isinstance(item, Token) and not item.done):
                target.error = ErrorCode.KAFKA_STORAGE_ERROR
                chunk = None
            elif isinstance(chunk, Chunk) and self._read_committed and _is_gone(target):
                # With its segments went what is known of their aborted transactions.
                chunk.release()
                chunk = None
            chunks.append(chunk)
        return self._respond(chunks)

    def _respond(self, found: list[Chunk | Token | None]) -> FetchResponse | OnLoan:
        """Build the response; a session leaves out what it has told already."""
        plan = self._plan
        session = plan.session
        chunks: list[Chunk] = []
        topics: list[FetchableTopicResponse] = []
        last_topic: str | bytes | None = None
        fenced = False
        for target, chunk in zip(plan.targets, found, strict=True):
            data = self._partition_data(target, chunk)
            if isinstance(chunk, Chunk):
                chunks.append(chunk)
            if session is not None and not session.keep(target, data) and plan.is_incremental:
                continue
            if target.error and target.error == ErrorCode.FENCED_LEADER_EPOCH and target.partition is not None:
                data.current_leader = LeaderIdAndEpoch(
                    self._services.placement.node_id, target.partition.log.leader_epoch
                )
                fenced = True
            topic = target.topic if target.topic_id is None else target.topic_id
            if topic == last_topic:
                topics[-1].partitions.append(data)
            else:
                last_topic = topic
                if target.topic_id is None:
                    topics.append(FetchableTopicResponse(topic=target.topic, partitions=[data]))
                else:
                    topics.append(FetchableTopicResponse(topic_id=target.topic_id, partitions=[data]))
        response = FetchResponse(session_id=0 if session is None else session.id, responses=topics)
        if fenced and self._ctx.api_version >= _LEADERS_FROM_VERSION:
            placement = self._services.placement
            host, port = placement.advertised(self._ctx.local_address)
            response.node_endpoints = [NodeEndpoint(placement.node_id, host, port)]
        return OnLoan(response, chunks) if chunks else response

    def _partition_data(self, target: FetchTarget, chunk: Chunk | Token | None) -> PartitionData:
        partition = target.partition
        if target.error or partition is None:
            # Null where the log itself refuses, as on Kafka.
            aborted: list[AbortedTransaction] | None = [] if partition is None else None
            return PartitionData(target.index, target.error, -1, aborted_transactions=aborted, records=_NOTHING)
        log = partition.log
        data = PartitionData(target.index, 0, log.high_watermark, log.last_stable_offset, log.log_start)
        data.records = chunk.data if isinstance(chunk, Chunk) else _NOTHING
        if not self._read_committed:
            data.aborted_transactions = None
        elif isinstance(chunk, Chunk):
            data.aborted_transactions = [
                AbortedTransaction(aborted.producer_id, aborted.first_offset)
                for aborted in aborted_in(partition, target.offset, chunk.data)
            ]
        if target.last_fetched_epoch >= 0:
            diverging = target.diverging_epoch()
            if diverging is not None:
                data.diverging_epoch = EpochEndOffset(*diverging)
        return data


def _is_gone(target: FetchTarget) -> bool:
    """Trimmed, or cleaned, since it was read."""
    partition = target.partition
    return partition is not None and (partition.log.log_start > target.offset or partition.store.swaps != target.swaps)


def _release(result: object) -> None:
    if isinstance(result, Chunk):
        result.release()


def refuse(request: FetchRequest, code: ErrorCode) -> FetchResponse:
    """The same error for every partition."""
    return FetchResponse(
        error_code=code,
        responses=[
            FetchableTopicResponse(
                topic.topic,
                topic.topic_id,
                [PartitionData(wanted.partition, code, -1, records=b"") for wanted in topic.partitions],
            )
            for topic in request.topics
        ],
    )
