"""Incremental fetch sessions: the broker remembers what a consumer wants, and what it was told.

Source: KIP-227; FetchSession, FetchManager in Apache Kafka 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flymq.env import Env
from flymq.runtime.fetching import FetchTarget
from flymq_protocol.errors import ErrorCode

if TYPE_CHECKING:
    # A broker that has not been asked for a fetch yet has not loaded what one looks like.
    from flymq_protocol.api.k01_fetch import FetchRequest, PartitionData

EPOCH_NONE = -1  # no session, or: close it
EPOCH_FULL = 0  # a full fetch, that may open one
_EPOCH_MAX = 2**31 - 1
EVICT_IDLE_MS = 2 * 60 * 1000

_IDS_FROM_VERSION = 13

Key = tuple[str | bytes, int]
"""(topic name or topic id, partition index)"""


class FetchSession:
    """One consumer's partitions, in the order in which they are served next."""

    __slots__ = ("epoch", "id", "targets", "used_at_ms", "uses_ids")

    def __init__(self, session_id: int, uses_ids: bool, targets: dict[Key, FetchTarget], now_ms: int) -> None:
        self.id = session_id
        self.epoch = 1  # of the next request
        self.uses_ids = uses_ids
        self.targets = targets
        self.used_at_ms = now_ms

    def keep(self, target: FetchTarget, data: PartitionData) -> bool:
        """Whether an incremental answer must mention this partition; remembers what it is told."""
        if data.records:
            # Who got something goes to the end, so that all get their turn under a byte limit.
            key = _key(target)
            if self.targets.get(key) is target:
                del self.targets[key]
                self.targets[key] = target
        elif (
            not data.error_code
            and data.high_watermark == target.sent_high_watermark
            and data.log_start_offset == target.sent_log_start
            and data.diverging_epoch.epoch < 0
        ):
            return False
        # An error is not remembered as told: the first good answer after it is sent again.
        target.sent_high_watermark = data.high_watermark
        target.sent_log_start = data.log_start_offset
        return True


class FetchPlan:
    """A request's targets and its session, or the top-level error that answers it."""

    __slots__ = ("error", "is_incremental", "session", "targets")

    def __init__(
        self,
        targets: list[FetchTarget],
        session: FetchSession | None = None,
        is_incremental: bool = False,
        error: int = 0,
    ) -> None:
        self.targets = targets
        self.session = session
        self.is_incremental = is_incremental
        self.error = error


class FetchSessions:
    """All sessions of the broker: at most `slots_max` (max.incremental.fetch.session.cache.slots)."""

    def __init__(self, env: Env, slots_max: int) -> None:
        self._env = env
        self._slots_max = slots_max
        # In order of last use: the head is who has idled longest.
        self._sessions: dict[int, FetchSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def plan(self, request: FetchRequest, version: int) -> FetchPlan:
        """Find, open, change or close the session that the request names.

        Errors (top-level): FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH,
        FETCH_SESSION_TOPIC_ID_ERROR.
        """
        uses_ids = version >= _IDS_FROM_VERSION
        epoch = request.session_epoch
        if epoch in (EPOCH_NONE, EPOCH_FULL):
            if request.session_id:
                self._sessions.pop(request.session_id, None)
            wanted = _targets(request, uses_ids)
            if epoch == EPOCH_NONE:
                return FetchPlan(wanted)
            targets = {_key(target): target for target in wanted}
            return FetchPlan(list(targets.values()), self._open(uses_ids, targets))
        session = self._sessions.get(request.session_id)
        if session is None:
            return FetchPlan([], error=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != epoch:
            return FetchPlan([], error=ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.uses_ids != uses_ids:
            return FetchPlan([], error=ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.epoch = 1 if epoch == _EPOCH_MAX else epoch + 1
        session.used_at_ms = self._env.tick_ms()
        del self._sessions[session.id]
        self._sessions[session.id] = session
        added = _targets(request, uses_ids) if request.topics else []
        if added:
            _merge(session.targets, added)
        if request.forgotten_topics_data:
            for topic in request.forgotten_topics_data:
                name = topic.topic_id if uses_ids else topic.topic
                for index in topic.partitions:
                    session.targets.pop((name, index), None)
        if not session.targets:  # as on Kafka: nothing is left to remember
            del self._sessions[session.id]
            return FetchPlan(added)
        return FetchPlan(list(session.targets.values()), session, is_incremental=True)

    def _open(self, uses_ids: bool, targets: dict[Key, FetchTarget]) -> FetchSession | None:
        """A new session, also where there is nothing to remember yet; None where there is no room (legal: the
        client goes on without one)."""
        now_ms = self._env.tick_ms()
        if self._slots_max <= 0:
            return None
        if len(self._sessions) >= self._slots_max:
            oldest = next(iter(self._sessions.values()))
            if now_ms - oldest.used_at_ms < EVICT_IDLE_MS:
                return None
            del self._sessions[oldest.id]
        while True:
            session_id = int.from_bytes(self._env.random_bytes(4), "big") >> 1
            if session_id and session_id not in self._sessions:
                break
        session = FetchSession(session_id, uses_ids, targets, now_ms)
        self._sessions[session_id] = session
        return session


def _key(target: FetchTarget) -> Key:
    return (target.topic if target.topic_id is None else target.topic_id, target.index)


def _targets(request: FetchRequest, uses_ids: bool) -> list[FetchTarget]:
    """What the request names, in its order."""
    return [
        FetchTarget(
            topic.topic,
            topic.topic_id if uses_ids else None,
            wanted.partition,
            wanted.fetch_offset,
            wanted.partition_max_bytes,
            wanted.current_leader_epoch,
            wanted.last_fetched_epoch,
        )
        for topic in request.topics
        for wanted in topic.partitions
    ]


def _merge(targets: dict[Key, FetchTarget], wanted: list[FetchTarget]) -> None:
    """Add partitions, or take over what the request says anew about those that are there."""
    for target in wanted:
        key = _key(target)
        before = targets.get(key)
        if before is not None:
            # Not changed in place: a fetch that still waits has asked for what it says.
            target.partition = before.partition
            target.is_known = before.is_known
            target.sent_high_watermark = before.sent_high_watermark
            target.sent_log_start = before.sent_log_start
        targets[key] = target
