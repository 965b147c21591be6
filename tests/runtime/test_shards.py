"""ShardRunner: what is answered when, what happens when a write fails, and its timers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from flymq.core.effects import CancelTimer, Effect, Order, Reply, SetTimer, TimerFired, Write
from flymq.env import Env, Timer, Token, completed
from flymq.env.timers import Timers
from flymq.runtime.shards import ShardRunner
from flymq.runtime.waiting import Ended
from flymq.storage.api import ShardStore, Unavailable
from flymq_protocol.errors import ErrorCode


class Ask:
    """A request of the test's machine: does `effects` (a `Reply` to 0 means this one)."""

    def __init__(self, *effects: Effect) -> None:
        self.token = 0
        self.effects = effects


class Echo:
    """Does as it is told; remembers rows, and which timers fired."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.fired: list[Any] = []

    def apply(self, key: str, value: str) -> None:
        self.rows[key] = value

    def loaded(self, now_ms: int) -> list[Effect]:
        return [SetTimer("loaded", 1_000_000)]

    def step(self, now_ms: int, event: Any) -> list[Effect]:
        if isinstance(event, TimerFired):
            self.fired.append(event.key)
            return []
        assert isinstance(event, Ask), "a bug"
        out: list[Effect] = []
        for effect in event.effects:
            if isinstance(effect, Reply) and effect.token == 0:
                effect = Reply(event.token, effect.result, effect.barrier)
            out.append(effect)
        return out


class Store(ShardStore):
    """Keeps rows in a dict; `hold` makes writes wait until `settle`."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.hold = False
        self.broken = False
        self.waiting: list[tuple[Token, list[tuple[str, str]], list[str]]] = []
        self.written: list[list[tuple[str, str]]] = []

    def load(self, shard: str, epoch: int = 0) -> Iterator[tuple[str, str]]:
        if self.broken:
            raise Unavailable("gone")
        return iter(sorted(self.rows.items()))

    def shards(self) -> list[str]:
        return ["s"] if self.rows else []

    def write(self, shard: str, puts: Iterable[tuple[str, str]], deletes: Iterable[str] = (), epoch: int = 0) -> Token:
        puts, deletes = list(puts), list(deletes)
        self.written.append(puts)
        if self.hold:
            token = Token()
            self.waiting.append((token, puts, deletes))
            return token
        if self.broken:
            return completed(Unavailable("broken"))
        self._apply(puts, deletes)
        return completed()

    def _apply(self, puts: list[tuple[str, str]], deletes: list[str]) -> None:
        self.rows.update(puts)
        for key in deletes:
            self.rows.pop(key, None)

    def settle(self, error: Exception | None = None) -> None:
        """The oldest write is durable, or fails."""
        token, puts, deletes = self.waiting.pop(0)
        if error is None:
            self._apply(puts, deletes)
        token.complete(error)


class ManualEnv(Env):
    """Time stands still until `advance`."""

    def __init__(self) -> None:
        self.now = 1_000
        self.timers = Timers(lambda deadline_ms: None)

    def now_ms(self) -> int:
        return self.now

    def tick_ms(self) -> int:
        return self.now

    def call_in(self, delay_ms: int, callback: Callable[..., None], *args: Any) -> Timer:
        return self.timers.at(self.now + delay_ms, callback, *args)

    def advance(self, delay_ms: int) -> None:
        end = self.now + delay_ms
        while (deadline := self.timers.next_deadline_ms()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.timers.run(self.now)
        self.now = end


class Rig:
    def __init__(self, env: Env | None = None) -> None:
        self.env = env or ManualEnv()
        self.store = Store()
        self.machines: list[Echo] = []
        self.fatal: list[BaseException] = []
        self.done: list[Order] = []
        self.reloads: list[Echo] = []
        self.runner = ShardRunner(
            self.env, self.store, "s", self.make, self.fatal.append, self.done.append,
            lambda: self.reloads.append(self.machine),
        )
        self.runner.load()

    def make(self) -> Echo:
        self.machines.append(Echo())
        return self.machines[-1]

    @property
    def machine(self) -> Echo:
        return self.machines[-1]

    def ask(self, *effects: Effect) -> Token:
        return self.runner.request(Ask(*effects))


def put(key: str, value: str = "v") -> Write:
    return Write([(key, value)])


@pytest.fixture
def rig() -> Rig:
    return Rig()


# -- replies --------------------------------------------------------------------------------------


def test_a_synchronous_store_answers_at_once(rig: Rig) -> None:
    token = rig.ask(put("a"), Reply(0, "done"))
    assert (token.done, token.result) == (True, "done")
    assert rig.store.rows == {"a": "v"}


def test_a_reply_waits_for_the_writes_before_it(rig: Rig) -> None:
    rig.store.hold = True
    writer = rig.ask(put("a"), Reply(0, 1))
    reader = rig.ask(Reply(0, 2))
    heartbeat = rig.ask(Reply(0, 3, barrier=False))
    early = rig.ask(Reply(0, 4), put("b"))
    assert [t.done for t in (writer, reader, heartbeat, early)] == [False, False, True, False]
    rig.store.settle()
    assert [t.result for t in (writer, reader, early)] == [1, 2, 4]


def test_a_reply_waits_for_no_later_write(rig: Rig) -> None:
    rig.store.hold = True
    token = rig.ask(Reply(0, 1), put("a"))
    assert token.done


def test_each_reply_waits_for_the_last_write_before_it(rig: Rig) -> None:
    rig.store.hold = True
    first = rig.ask(put("a"), Reply(0, 1))
    second = rig.ask(put("b"), Reply(0, 2))
    rig.store.settle()
    assert (first.done, second.done) == (True, False)
    rig.store.settle()
    assert second.result == 2


def test_a_parked_request_is_answered_by_a_later_step(rig: Rig) -> None:
    parked = rig.ask()
    assert not parked.done
    rig.ask(Reply(1, "yours"), Reply(0, "mine"))
    assert parked.result == "yours"


def test_an_answer_that_feeds_the_machine_does_not_overtake_writes(rig: Rig) -> None:
    # Completing the first answer makes its connection send the next request at once.
    parked = rig.ask()
    parked.then(lambda result: rig.ask(put("later")))
    rig.ask(Reply(1, "go on"), put("earlier"), Reply(0, None))
    assert [puts[0][0] for puts in rig.store.written] == ["earlier", "later"]


def test_a_token_that_its_connection_gave_up_is_harmless(rig: Rig) -> None:
    parked = rig.ask()
    parked.complete(Ended.DISCONNECT)
    rig.ask(Reply(1, "too late"), Reply(0, None))
    assert parked.result is Ended.DISCONNECT


# -- a write fails --------------------------------------------------------------------------------


def test_a_failed_write_fails_all_who_wait_and_reloads(rig: Rig) -> None:
    rig.ask(put("a", "old"), Reply(0, None))
    parked = rig.ask()
    rig.store.hold = True
    writer = rig.ask(put("a", "new"), Reply(0, None))
    reader = rig.ask(Reply(0, None))
    rig.store.settle(Unavailable("disk"))
    for token in (parked, writer, reader):
        assert token.result is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert len(rig.machines) == 2
    assert rig.machine.rows == {"a": "old"}
    assert rig.fatal == []
    assert rig.ask(Reply(0, "works")).result == "works"


def test_writes_after_the_failed_one_are_waited_for(rig: Rig) -> None:
    rig.store.hold = True
    first = rig.ask(put("a"), Reply(0, None))
    second = rig.ask(put("b"), Reply(0, None))
    rig.store.settle(Unavailable("disk"))
    assert first.result is second.result is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert len(rig.machines) == 1  # not yet: the second write may succeed
    assert rig.ask(Reply(0, None)).result is ErrorCode.COORDINATOR_NOT_AVAILABLE
    rig.runner.tell(Ask(put("lost")))
    rig.store.settle()
    assert rig.machine.rows == {"b": "v"}
    assert len(rig.machines) == 2


def test_two_failed_writes_reload_once(rig: Rig) -> None:
    rig.store.hold = True
    rig.ask(put("a"), Reply(0, None))
    rig.ask(put("b"), Reply(0, None))
    rig.store.settle(Unavailable("disk"))
    rig.store.settle(Unavailable("disk"))
    assert len(rig.machines) == 2
    assert rig.ask(Reply(0, 1)).done


def test_a_write_that_fails_at_once(rig: Rig) -> None:
    rig.store.broken = True
    token = rig.ask(put("a"), put("b"), Reply(0, None))
    assert token.result is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert len(rig.store.written) == 1, "the rest of the step is void"
    assert len(rig.fatal) == 1  # this store can't be loaded either
    assert rig.ask(Reply(0, None)).result is ErrorCode.COORDINATOR_NOT_AVAILABLE


def test_a_shard_that_cannot_be_loaded_again_is_fatal(rig: Rig) -> None:
    rig.store.hold = rig.store.broken = True
    token = rig.ask(put("a"), Reply(0, None))
    error = Unavailable("disk")
    rig.store.settle(error)
    assert token.result is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert [str(found) for found in rig.fatal] == ["gone"]


def test_a_bug_in_the_machine_reloads_it(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.ask(put("a"), Reply(0, None))
    parked = rig.ask()

    class Unheard(Ask):
        pass

    rig.machine.step = lambda now_ms, event: 1 // 0  # type: ignore[assignment]
    token = rig.runner.request(Unheard())
    assert token.result is ErrorCode.UNKNOWN_SERVER_ERROR
    assert parked.result is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert rig.machine.rows == {"a": "v"}
    assert "Unheard failed" in caplog.text
    assert rig.ask(Reply(0, 1)).result == 1


def test_timers_do_not_survive_a_reload(rig: Rig) -> None:
    rig.ask(SetTimer("t", 10), Reply(0, None))
    rig.store.hold = True
    rig.ask(put("a"), Reply(0, None))
    rig.store.settle(Unavailable("disk"))
    assert isinstance(rig.env, ManualEnv)
    rig.env.advance(100)
    assert [machine.fired for machine in rig.machines] == [[], []]


# -- timers ---------------------------------------------------------------------------------------


def test_timers_fire_move_and_are_cancelled(rig: Rig) -> None:
    env = rig.env
    assert isinstance(env, ManualEnv)
    rig.ask(SetTimer("a", 10), SetTimer("b", 10), SetTimer("c", 10), SetTimer("d", 50), CancelTimer("nobody"))
    env.advance(5)
    rig.ask(SetTimer("b", 10), CancelTimer("c"), SetTimer("d", 1))
    env.advance(4)
    assert rig.machine.fired == ["d"]  # moved to an earlier time
    env.advance(1)
    assert rig.machine.fired == ["d", "a"]
    env.advance(4)
    assert rig.machine.fired == ["d", "a"]
    env.advance(1)
    assert rig.machine.fired == ["d", "a", "b"]
    env.advance(1_000)
    assert rig.machine.fired == ["d", "a", "b"]


def test_a_timer_that_is_moved_out_again_and_again_stays_one_entry_of_the_heap(rig: Rig) -> None:
    env = rig.env
    assert isinstance(env, ManualEnv)
    before = len(env.timers)
    for _ in range(100):
        rig.ask(SetTimer("t", 10), Reply(0, None))
        env.advance(1)
    assert len(env.timers) == before + 1
    assert rig.machine.fired == []
    env.advance(9)
    assert rig.machine.fired == ["t"]


def test_on_a_real_loop() -> None:
    async def run() -> list[Any]:
        env = Env(asyncio.get_running_loop())
        rig = Rig(env)
        fired = asyncio.Event()
        rig.machine.step = lambda now_ms, event: fired.set() or []  # type: ignore[assignment, func-returns-value]
        rig.runner._carry_out([SetTimer("t", 1)])
        await asyncio.wait_for(fired.wait(), 10)
        rig.runner.close()
        env.close()
        return rig.fatal

    assert asyncio.run(run()) == []


# -- the end --------------------------------------------------------------------------------------


def test_close_ends_all_waiting(rig: Rig) -> None:
    env = rig.env
    assert isinstance(env, ManualEnv)
    rig.store.hold = True
    parked = rig.ask(SetTimer("t", 10))
    held = rig.ask(put("a"), Reply(0, None))
    rig.runner.close()
    assert parked.result is held.result is Ended.SHUTDOWN
    assert rig.ask(Reply(0, None)).result is Ended.SHUTDOWN
    rig.store.settle()
    env.advance(100)
    assert rig.machine.fired == []
    assert rig.store.rows == {"a": "v"}


# -- orders ---------------------------------------------------------------------------------------


class Errand(Order):
    __slots__ = ()


def test_an_order_is_done_once_the_writes_before_it_are_durable(rig: Rig) -> None:
    first, second, third = Errand(), Errand(), Errand()
    rig.store.hold = True
    token = rig.ask(first, put("a"), second, Reply(0, "answer"), put("b"), third)
    assert rig.done == [first]
    rig.store.settle()
    assert (rig.done, token.result) == ([first, second], "answer")
    rig.store.settle()
    assert rig.done == [first, second, third]


def test_an_order_behind_a_write_that_failed_is_not_done(rig: Rig) -> None:
    rig.store.hold = True
    rig.ask(put("a"), Errand(), Reply(0, "answer"))
    assert rig.reloads == []
    rig.store.settle(Unavailable("broken"))
    assert rig.done == []
    assert rig.reloads == [rig.machine], "and who gives orders hears that it starts anew"


def test_no_order_is_done_after_the_end(rig: Rig) -> None:
    rig.store.hold = True
    rig.ask(put("a"), Errand(), Reply(0, "answer"))
    rig.runner.close()
    rig.store.settle()
    assert rig.done == []
