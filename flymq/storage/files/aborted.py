"""The aborted transactions of one segment, as bytes of Kafka's `.txnindex`.

A row is: version 0 (i16), producer id, first offset, last offset, last stable offset (i64 each), by the last offset,
that of the marker; it lies with the segment that holds the marker. There is no file where there is no row.

Source: TransactionIndex, AbortedTxn in Apache Kafka 4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from struct import Struct

from flymq.core.log.transactions import AbortedTransaction

_ROW = Struct(">hqqqq")
_VERSION = 0
_LAST_OFFSET = Struct(">18xq8x")


class AbortedRows:
    """The rows of one segment."""

    __slots__ = ("data",)

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)  # the file's content

    def are_between(self, base_offset: int, end_offset: int) -> bool:
        """Whether these can be the rows of that segment."""
        if len(self.data) % _ROW.size:
            return False
        before = base_offset - 1
        for version, _, first_offset, last_offset, _ in _ROW.iter_unpack(self.data):
            if version != _VERSION or not before < last_offset < end_offset or first_offset >= last_offset:
                return False
            before = last_offset
        return True

    def add(self, aborted: AbortedTransaction) -> None:
        """At the end; one that is there changes nothing."""
        count = len(self.data) // _ROW.size
        if not count or self._last_offset(count - 1) < aborted.last_offset:
            self.data += _ROW.pack(_VERSION, *aborted)

    def _last_offset(self, at: int) -> int:
        found: int = _LAST_OFFSET.unpack_from(self.data, at * _ROW.size)[0]
        return found

    def ending_from(self, offset: int) -> Iterator[AbortedTransaction]:
        """Those whose marker is at or after `offset`."""
        count = len(self.data) // _ROW.size
        for at in range(bisect_left(range(count), offset, key=self._last_offset), count):
            yield AbortedTransaction(*_ROW.unpack_from(self.data, at * _ROW.size)[1:])
