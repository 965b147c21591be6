"""Retention at work: every now and then each partition is asked what it may forget.

Only a partition that holds records is looked at; its settings are read at each check.

Source: LogManager.cleanupLogs in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.core.log.retention import new_log_start
from flymq.env import Env, Timer, Token, gather
from flymq.runtime.partitions import Partition, Partitions

_FIRST_MS = 30_000
_SLICE_MS = 5


class Retention:
    """Checks every `check_ms` until `close`; `run_now` does not wait for that."""

    def __init__(self, env: Env, partitions: Partitions, check_ms: int) -> None:
        self._env = env
        self._partitions = partitions
        self._check_ms = check_ms
        self._timer: Timer = env.call_in(min(check_ms, _FIRST_MS), self._on_time)
        self._is_closed = False

    def _on_time(self) -> None:
        self.run_now().then(self._again)

    def _again(self, _: object) -> None:
        if not self._is_closed:
            self._timer = self._env.call_in(self._check_ms, self._on_time)

    def run_now(self) -> Token:
        """Look at every partition once, in slices of 5 ms. Completes with None when all new log starts are durable."""
        done = Token()
        self._look([partition for partition in self._partitions if partition.log.end > 0], 0, [], done)
        return done

    def _look(self, partitions: list[Partition], at: int, trims: list[Token], done: Token) -> None:
        tick_ms = self._env.tick_ms
        stop_at = tick_ms() + _SLICE_MS
        now_ms = self._env.now_ms()
        while at < len(partitions):
            trim = self._look_at(partitions[at], now_ms)
            if trim is not None:
                trims.append(trim)
            at += 1
            if tick_ms() > stop_at:
                if not self._is_closed:
                    self._env.call_soon(self._look, partitions, at, trims, done)
                return
        gather(trims).then(lambda _: done.complete())

    def _look_at(self, partition: Partition, now_ms: int) -> Token | None:
        """The trim under way, where there is something to take."""
        if partition.is_closed or partition.offline is not None:
            return None
        log = partition.log
        start = new_log_start(partition.store.segments(), log.log_start, log.high_watermark, log.config, now_ms)
        return None if start is None else partition.trim(start)

    def close(self) -> None:
        self._is_closed = True
        self._timer.cancel()
