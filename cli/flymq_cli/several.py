"""The same for each of several names: what can be done is done, what can't is told, and the exit code says which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flymq_cli.errors import OK, PARTLY, UNREACHABLE, exit_code, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def for_each(names: Iterable[str], act: Callable[[str], object]) -> int:
    """The exit code. Raises the only failure where nothing was done."""
    failures: list[Exception] = []
    done = 0
    for name in dict.fromkeys(names):
        try:
            act(name)
            done += 1
        except Exception as error:
            code = exit_code(error)
            if code is None:
                raise
            failures.append(error)
            if code == UNREACHABLE:
                break
    if not failures:
        return OK
    if not done and len(failures) == 1:
        raise failures[0]
    for failure in failures:
        report(failure)
    return PARTLY if done else exit_code(failures[0]) or PARTLY
