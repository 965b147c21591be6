"""Reads that a segment's indexes, or an earlier read, must come first for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flymq.env import Token
from flymq.env.files import Files
from flymq.storage.api import StorageError, Unavailable
from flymq.storage.files.segment import FileSegment

if TYPE_CHECKING:
    from flymq.storage.files.log import FileLog


def load_index(log: FileLog, segment: FileSegment, files: Files) -> Token:
    """Bring a rolled segment's indexes to memory, once for all who ask meanwhile."""
    if segment.loading is None:
        token = segment.loading = log.offload(_load, segment, files)

        def loaded(_: object) -> None:
            segment.loading = None

        token.then(loaded)
    return segment.loading


def _load(segment: FileSegment, files: Files) -> None:
    """On a thread. A segment without usable index files is read by walking its headers."""
    if not segment.load_index(files):
        segment.start_index()


def read_later(
    log: FileLog, token: Token, offset: int, end_offset: int, max_bytes: int, at_least_one: bool
) -> Token:
    """`log.read` once `token` is in."""
    result = Token()

    def again(loaded: object) -> None:
        if isinstance(loaded, StorageError):
            result.complete(loaded)
            return
        if offset < log.log_start:
            result.complete(Unavailable(f"{log.folder}: offset {offset} was trimmed away meanwhile"))
            return
        try:
            got = log.read(offset, end_offset, max_bytes, at_least_one=at_least_one)
        except StorageError as error:
            result.complete(error)
            return
        if isinstance(got, Token):
            got.then(result.complete)
        else:
            result.complete(got)

    token.then(again)
    return result
