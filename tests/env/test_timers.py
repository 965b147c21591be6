"""The timer heap and tokens, without a loop."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flymq.env import Timers, Token, completed, gather


class Driver:
    """Holds the heap's head, as the loop does."""

    def __init__(self) -> None:
        self.armed_ms: int | None = None
        self.timers = Timers(self.arm)

    def arm(self, deadline_ms: int) -> None:
        self.armed_ms = deadline_ms


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=60), st.lists(st.integers(0, 60), max_size=10))
def test_fires_what_is_due_once_in_order_and_nothing_cancelled(
    wanted: list[tuple[int, bool]], run_at: list[int]
) -> None:
    driver = Driver()
    fired: list[tuple[int, int]] = []
    timers = [
        driver.timers.at(deadline, fired.append, (deadline, number)) for number, (deadline, _) in enumerate(wanted)
    ]
    for timer, (_, cancel) in zip(timers, wanted, strict=True):
        if cancel:
            timer.cancel()
    alive = sorted((deadline, number) for number, (deadline, cancel) in enumerate(wanted) if not cancel)
    assert len(driver.timers) == len(alive)
    now = 0
    for step in sorted(run_at):
        now = max(now, step)
        driver.timers.run(now)
        assert fired == [entry for entry in alive if entry[0] <= now]
        assert driver.timers.next_deadline_ms() == next((entry[0] for entry in alive if entry[0] > now), None)


def test_arms_only_an_earlier_head() -> None:
    driver = Driver()
    driver.timers.at(10, lambda: None)
    assert driver.armed_ms == 10
    driver.timers.at(20, lambda: None)
    assert driver.armed_ms == 10
    driver.timers.at(5, lambda: None)
    assert driver.armed_ms == 5
    driver.timers.run(7)
    assert driver.armed_ms == 10


def test_a_callback_that_sets_a_timer_for_now_waits_for_the_next_run() -> None:
    driver = Driver()
    fired: list[int] = []

    def again() -> None:
        fired.append(1)
        driver.timers.at(0, again)

    driver.timers.at(0, again)
    driver.timers.run(0)
    assert fired == [1]
    assert driver.armed_ms == 0


def test_many_cancelled_timers_do_not_stay() -> None:
    driver = Driver()
    kept = driver.timers.at(10**6, lambda: None)
    for number in range(10_000):
        driver.timers.at(number, lambda: None).cancel()
    assert len(driver.timers._heap) < 1000
    assert len(driver.timers) == 1
    kept.cancel()
    kept.cancel()  # harmless
    assert len(driver.timers) == 0


def test_the_first_completion_of_a_token_counts() -> None:
    token = Token()
    seen: list[object] = []
    token.then(seen.append)
    assert token.complete("first")
    assert not token.complete("second")
    token.then(seen.append)
    assert seen == ["first", "first"]


def test_gather_waits_for_the_last_and_keeps_the_order() -> None:
    early, late, latest = completed(1), Token(), Token()
    whole = gather([early, latest, late])
    late.complete(3)
    assert not whole.done
    latest.complete(2)
    assert whole.result == [1, 2, 3]
    assert gather([]).result == []
