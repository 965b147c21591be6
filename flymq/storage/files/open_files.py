"""At most so many open segment files: those written and read lately."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flymq.env.files import Files
from flymq.storage.files.segment import FileSegment

if TYPE_CHECKING:
    from flymq.storage.files.log import FileLog


class OpenFiles:
    """Open segments, the longest unused first. On the loop thread only.

    A log that is pinned (a thread uses one of its files) keeps its files; so the limit may be passed
    while everything is in use.
    """

    def __init__(self, files: Files, limit: int) -> None:
        self._files = files
        self._limit = limit
        self._open: dict[FileSegment, FileLog] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, segment: FileSegment, owner: FileLog) -> None:
        """Open an existing segment's file for reading and writing."""
        self.add(segment, self._files.open(segment.log_path, os.O_RDWR, 0), owner)

    def add(self, segment: FileSegment, fd: int, owner: FileLog) -> None:
        """Take over an open file, closing others above the limit."""
        segment.fd = fd
        self._open[segment] = owner
        if len(self._open) > self._limit:
            self._evict(segment)

    def touch(self, segment: FileSegment) -> None:
        """It was just read: the last to go. (Active segments are kept by being dirty instead.)"""
        owner = self._open.pop(segment, None)
        if owner is not None:
            self._open[segment] = owner

    def close(self, segment: FileSegment) -> None:
        if self._open.pop(segment, None) is not None:
            fd, segment.fd = segment.fd, -1
            self._files.close(fd)
            if segment.is_finished:
                segment.forget_index()

    def _evict(self, kept: FileSegment) -> None:
        """Close the longest unused file; one with unsynced bytes only where there is no other.

        (Its flush opens it again: fsync is by file, not by descriptor.)
        """
        second_choice: FileSegment | None = None
        for segment, owner in self._open.items():
            if segment is kept or owner.pins:
                continue
            if not owner.is_dirty:
                self.close(segment)
                return
            second_choice = second_choice or segment
        if second_choice is not None:
            self.close(second_choice)
