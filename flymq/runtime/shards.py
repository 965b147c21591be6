"""Runs a pure machine over one shard of the store: carries out its effects, in order.

A reply waits until the writes issued before it are durable. When a write fails, what memory holds may
never have happened: all who wait are told to come back, and the machine is made anew from the store.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from flymq.core.effects import CancelTimer, Effect, Order, Reply, SetTimer, TimerFired, Write
from flymq.env import Env, Timer, Token, completed
from flymq.runtime.waiting import Ended
from flymq.storage.api import ShardStore
from flymq_protocol.errors import ErrorCode

log = logging.getLogger(__name__)


class Machine(Protocol):
    """What a shard's rows mean."""

    def apply(self, key: str, value: str) -> None:
        """A stored row."""

    def loaded(self, now_ms: int) -> list[Effect]:
        """All rows were applied."""

    def step(self, now_ms: int, event: Any) -> list[Effect]:
        """An event, or `TimerFired`."""


class _Armed:
    """A timer as the machine sees it. Moving its deadline out, which every heartbeat does, costs one assignment: the
    heap's timer fires at the old deadline and is set again for the rest."""

    __slots__ = ("deadline_ms", "timer")

    def __init__(self, deadline_ms: int, timer: Timer) -> None:
        self.deadline_ms = deadline_ms
        self.timer = timer


class _InFlight:
    """A write that the store has not reported yet, and the replies behind it."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: list[tuple[Token, Any]] = []


class ShardRunner:
    """One shard. All calls are on the loop thread.

    `make` makes an empty machine. `on_fatal(error)` is called when the shard can't be loaded again after a failed
    write: the process must then end, non-zero. `on_order` is given the machine's orders; `on_reloaded` is called
    when the machine was made anew.
    """

    def __init__(
        self,
        env: Env,
        store: ShardStore,
        name: str,
        make: Callable[[], Machine],
        on_fatal: Callable[[BaseException], None],
        on_order: Callable[[Any], None] | None = None,
        on_reloaded: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self._env = env
        self._store = store
        self._make = make
        self._on_fatal = on_fatal
        self._on_order = on_order
        self._on_reloaded = on_reloaded
        self._machine: Machine | None = None  # None while writes that followed a failed one are in flight
        self._number = 0
        self._waiting: dict[int, Token] = {}
        self._timers: dict[Hashable, _Armed] = {}
        self._in_flight: deque[_InFlight] = deque()
        self._closed = False

    def load(self) -> None:
        """Make the machine from the shard's rows. Raises what the store raises."""
        machine = self._make()
        for key, value in self._store.load(self.name):
            machine.apply(key, value)
        self._machine = machine
        self._carry_out(machine.loaded(self._env.now_ms()))

    def request(self, event: Any) -> Token:
        """Feed a request: its `token` is set here, and the token returned gets the reply.

        Instead of the reply, the token may get COORDINATOR_NOT_AVAILABLE (a write failed: whether it happened is
        not known), UNKNOWN_SERVER_ERROR (a bug of ours) or `Ended.SHUTDOWN`.
        """
        if self._closed:
            return completed(Ended.SHUTDOWN)
        if self._machine is None:
            return completed(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        token = Token()
        self._number = event.token = number = self._number + 1
        self._waiting[number] = token
        try:
            effects = self._machine.step(self._env.now_ms(), event)
        except Exception:
            del self._waiting[number]
            self._broken(event)
            token.complete(ErrorCode.UNKNOWN_SERVER_ERROR)
            return token
        self._carry_out(effects)
        return token

    def tell(self, event: Any) -> None:
        """Feed an event that has no reply."""
        if self._machine is None or self._closed:
            return
        try:
            effects = self._machine.step(self._env.now_ms(), event)
        except Exception:
            self._broken(event)
            return
        self._carry_out(effects)

    def close(self) -> None:
        """End all waiting with SHUTDOWN; writes in flight are the store's to finish."""
        self._closed = True
        self._drop_timers()
        for token in self._take_waiting():
            token.complete(Ended.SHUTDOWN)

    # -- effects ----------------------------------------------------------------------------------

    def _carry_out(self, effects: list[Effect]) -> None:
        # Completing a token may feed the next request of that connection to this very machine. Its writes must not
        # overtake ours: so tokens are completed when all else is done.
        ready: list[tuple[Token, Any]] = []
        for effect in effects:
            kind = type(effect)
            if kind is Reply:
                token = self._waiting.pop(effect.token)  # type: ignore[union-attr]
                if self._in_flight and effect.barrier:  # type: ignore[union-attr]
                    self._in_flight[-1].held.append((token, effect.result))  # type: ignore[union-attr]
                else:
                    ready.append((token, effect.result))  # type: ignore[union-attr]
            elif kind is SetTimer:
                self._set_timer(effect.key, effect.delay_ms)  # type: ignore[union-attr]
            elif kind is Write:
                if not self._write(effect):  # type: ignore[arg-type]
                    break
            elif kind is CancelTimer:
                armed = self._timers.pop(effect.key, None)  # type: ignore[union-attr]
                if armed is not None:
                    armed.timer.cancel()
            else:
                token = Token()
                token.then(self._order)
                (self._in_flight[-1].held if self._in_flight else ready).append((token, effect))
        for token, result in ready:
            token.complete(result)

    def _write(self, effect: Write) -> bool:
        """False where it failed at once: the shard was reloaded, and the rest of the step is void."""
        try:
            token = self._store.write(self.name, effect.puts, effect.deletes)
        except Exception as error:
            self._failed(error)
            return False
        if token.done:
            if isinstance(token.result, BaseException):
                self._failed(token.result)
                return False
            return True
        write = _InFlight()
        self._in_flight.append(write)
        token.then(lambda result: self._written(write, result))
        return True

    def _written(self, write: _InFlight, result: Any) -> None:
        self._in_flight.remove(write)  # the first: writes complete in order
        if self._closed:
            return
        if isinstance(result, BaseException):
            self._failed(result, write.held)
        elif self._machine is None:
            self._reload_when_quiet()
        else:
            for token, answer in write.held:
                token.complete(answer)

    def _order(self, result: Any) -> None:
        """`result` is no order where a write before it failed, or the broker stops."""
        if isinstance(result, Order):
            assert self._on_order is not None, f"{self.name} has nobody to do {result}"
            self._on_order(result)

    def _set_timer(self, key: Hashable, delay_ms: int) -> None:
        deadline_ms = self._env.tick_ms() + delay_ms
        armed = self._timers.get(key)
        if armed is not None:
            if deadline_ms >= armed.timer.deadline_ms:
                armed.deadline_ms = deadline_ms
                return
            armed.timer.cancel()
        self._timers[key] = _Armed(deadline_ms, self._env.call_in(delay_ms, self._due, key))

    def _due(self, key: Hashable) -> None:
        armed = self._timers[key]
        left_ms = armed.deadline_ms - self._env.tick_ms()
        if left_ms > 0:
            armed.timer = self._env.call_in(left_ms, self._due, key)
            return
        del self._timers[key]
        self.tell(TimerFired(key))

    # -- failure ----------------------------------------------------------------------------------

    def _broken(self, event: Any) -> None:
        """The machine raised: what it holds is not to be trusted. Call it from the handler of that exception."""
        log.exception("shard %s: %s failed; reloading it", self.name, type(event).__name__)
        self._start_over()

    def _failed(self, error: BaseException, held: list[tuple[Token, Any]] | None = None) -> None:
        log.error("shard %s: a write failed (%r); reloading it", self.name, error)
        self._start_over([token for token, _ in held or ()])

    def _start_over(self, failed: list[Token] | None = None) -> None:
        self._machine = None
        self._drop_timers()
        waiting = self._take_waiting()
        self._reload_when_quiet()
        for token in (failed or []) + waiting:
            token.complete(ErrorCode.COORDINATOR_NOT_AVAILABLE)

    def _reload_when_quiet(self) -> None:
        """Writes after the failed one may still succeed: what the store holds is known once they are all done."""
        if self._in_flight or self._machine is not None:
            return
        try:
            self.load()
        except Exception as error:
            self._machine = None
            log.critical("shard %s can't be loaded again: %r", self.name, error)
            self._on_fatal(error)
            return
        if self._on_reloaded is not None:
            self._on_reloaded()

    def _take_waiting(self) -> list[Token]:
        """Every token that is not complete: those behind writes, and those that the machine keeps."""
        tokens = [token for write in self._in_flight for token, _ in write.held]
        for write in self._in_flight:
            write.held = []
        tokens.extend(self._waiting.values())
        self._waiting = {}
        return tokens

    def _drop_timers(self) -> None:
        for armed in self._timers.values():
            armed.timer.cancel()
        self._timers.clear()
