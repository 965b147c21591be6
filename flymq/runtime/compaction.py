"""Looks for compacted partitions that are dirty, and has their stores clean them, one after another.

Source: LogCleaner, LogCleanerManager in Apache Kafka 4.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from itertools import islice

from flymq.core.log.cleaning import KEY_BYTES, Cleaned, CleaningTask, Dirt, survey
from flymq.core.settings import BrokerConfig
from flymq.env import Env, Timer, Token, completed
from flymq.runtime.partitions import Partition, Partitions
from flymq.storage.api import Corrupt, StorageError

_log = logging.getLogger("flymq.compaction")

# Looking at a partition takes microseconds, and there may be ten thousand: the loop gets a turn after so many.
_LOOK_CHUNK = 256


class Compaction:
    """`start` looks every log.cleaner.backoff.ms; `run_now` at once.

    After `close` nothing begins; what a store was asked for goes on until the engine closes.
    """

    def __init__(self, env: Env, partitions: Partitions, config: BrokerConfig) -> None:
        self._env = env
        self._partitions = partitions
        self._config = config
        self._timer: Timer | None = None
        self._running: Token | None = None
        self._is_closed = False
        self._damaged: set[Partition] = set()  # not tried again before a restart

    def start(self) -> None:
        if self._config.bool("log.cleaner.enable"):
            self._arm(self._config.int("log.cleaner.backoff.ms"))

    def _arm(self, delay_ms: int) -> None:
        if not self._is_closed:
            self._timer = self._env.call_in(delay_ms, self._tick)

    def _tick(self) -> None:
        def done(cleaned: list[Cleaned]) -> None:
            # As long as there is something to do there is no pause.
            self._arm(0 if cleaned else self._config.int("log.cleaner.backoff.ms"))

        self.run_now().then(done)

    def close(self) -> None:
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def run_now(self) -> Token:
        """Clean whatever is due, each partition once, the dirtiest first: a list of `Cleaned` of those it came off for.

        Where that is going on already, once more after it.
        """
        done = Token()
        if self._running is not None:
            self._running.then(lambda _: self.run_now().then(done.complete))
            return done
        self._running = done

        def over(_: object) -> None:
            self._running = None

        done.then(over)
        self._look(iter(list(self._partitions)), [], done)
        return done

    def _look(self, rest: Iterator[Partition], due: list[tuple[float, Partition]], done: Token) -> None:
        some = list(islice(rest, _LOOK_CHUNK))
        for partition in some:
            dirt = self._dirt(partition)
            if dirt is not None:
                due.append((dirt.ratio, partition))
        if some and not self._is_closed:
            self._env.call_soon(self._look, rest, due, done)
            return
        due.sort(key=lambda entry: entry[0], reverse=True)
        self._clean(deque(partition for _, partition in due), [], done)

    def _dirt(self, partition: Partition) -> Dirt | None:
        """None where there is nothing to do."""
        if partition.offline is not None or not partition.log.config.compact or partition in self._damaged:
            return None
        log, store = partition.log, partition.store
        dirt = survey(
            store.segments(), store.clean_end, log.log_start, log.last_stable_offset, log.config, self._env.now_ms()
        )
        return dirt if dirt.is_due(log.config) else None

    def _clean(self, rest: deque[Partition], cleaned: list[Cleaned], done: Token) -> None:
        """The next one, until there is none."""
        if not rest or self._is_closed:
            done.complete(cleaned)
            return
        partition = rest.popleft()

        def over(outcome: Cleaned | StorageError | None) -> None:
            if isinstance(outcome, Cleaned):
                _log.info("%s-%d: %s", partition.ref.topic, partition.index, outcome)
                # Without progress the next look must not follow at once.
                if dirt is not None and outcome.end > dirt.first_dirty:
                    cleaned.append(outcome)
            elif outcome is not None and not partition.is_closed and not self._is_closed:
                self._failed(partition, outcome)
            self._env.call_soon(self._clean, rest, cleaned, done)

        dirt = None if partition.is_closed else self._dirt(partition)
        self._ask(partition, dirt).then(over)

    def _ask(self, partition: Partition, dirt: Dirt | None) -> Token:
        if dirt is None:
            return completed()
        try:
            return partition.store.clean(self._task(partition, dirt))
        except StorageError as failure:
            return completed(failure)

    def _task(self, partition: Partition, dirt: Dirt) -> CleaningTask:
        log, config = partition.log, self._config
        return CleaningTask(
            first_dirty=dirt.first_dirty,
            end=dirt.end,
            log_start=log.log_start,
            now_ms=self._env.now_ms(),
            delete_retention_ms=log.config.delete_retention_ms,
            segment_bytes=log.config.segment_bytes,
            keys_max=max(1, config.int("log.cleaner.dedupe.buffer.size") // KEY_BYTES),
            inflate_bytes_max=config.int("flymq.inflate.bytes.max"),
            bytes_per_second=max(1.0, config.get("log.cleaner.io.max.bytes.per.second")),
            last_batches=log.producers.last_batches(dirt.end),
        )

    def _failed(self, partition: Partition, failure: StorageError) -> None:
        if isinstance(failure, Corrupt):
            self._damaged.add(partition)
            _log.error("%s-%d is not compacted until restart: %s", partition.ref.topic, partition.index, failure)
        else:
            _log.warning("%s-%d could not be compacted: %s", partition.ref.topic, partition.index, failure)
