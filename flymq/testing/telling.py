"""What a failed `expect` or `wait_for_group` shows: lines of messages, differences, members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from flymq.client.messages import Message

if TYPE_CHECKING:
    from flymq.client.admin.types import Member

_LINES_MAX = 20
_COMPARED_MAX = 200  # comparing takes the square of it


def shown(messages: Sequence[Message[Any, Any]]) -> str:
    """A line each."""
    return _lines(_line(message) for message in messages)


def shown_difference(found: Sequence[Message[Any, Any]], wanted: Sequence[bytes | None]) -> str:
    """What is there and what is not, against the values that were wanted, from shortly before the first difference."""
    same = 0
    while same < min(len(found), len(wanted)) and found[same].value == wanted[same]:
        same += 1
    skipped = max(0, same - 2)
    head = [f"(the first {skipped} are as wanted)"] if skipped else []
    end = skipped + _COMPARED_MAX
    return ":" + _lines([*head, *_difference(found[skipped:end], wanted[skipped:end])])


def _difference(found: Sequence[Message[Any, Any]], wanted: Sequence[bytes | None]) -> Iterator[str]:
    matcher = SequenceMatcher(None, [message.value for message in found], wanted, autojunk=False)
    for tag, found_from, found_to, wanted_from, wanted_to in matcher.get_opcodes():
        if tag != "equal":
            yield from (f"missing     {value!r:.200}" for value in wanted[wanted_from:wanted_to])
        mark = "            " if tag == "equal" else "unexpected  "
        yield from (mark + _line(message) for message in found[found_from:found_to])


def shown_members(members: Sequence[Member]) -> str:
    """Who is in a group and has what."""
    if not members:
        return "no members"
    return f"{len(members)} member{'' if len(members) == 1 else 's'}:" + _lines(
        f"{member.client_id} at {member.host} has {', '.join(map(str, member.assignment)) or 'no partitions'}"
        for member in members
    )


def _line(message: Message[Any, Any]) -> str:
    key = "" if message.key is None else f" key={message.key!r:.60}"
    return f"{message.topic}-{message.partition}@{message.offset}{key} value={message.value!r:.200}"


def _lines(lines: Iterable[str]) -> str:
    several = list(lines)
    more = [f"and {len(several) - _LINES_MAX} more"] if len(several) > _LINES_MAX else []
    return "".join(f"\n    {line}" for line in [*several[:_LINES_MAX], *more])
