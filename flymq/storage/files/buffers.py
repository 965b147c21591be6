"""Read buffers that are used again: a fresh megabyte costs more page faults than its read."""

from __future__ import annotations

_CLASS_MIN = 12  # 4 KiB
_CLASS_MAX = 22  # 4 MiB
_KEPT_BYTES_MAX = 32 << 20


class Buffer:
    """A borrowed buffer; `give_back` makes it somebody else's."""

    __slots__ = ("_free", "_pool", "view")

    def __init__(self, pool: Buffers, free: list[Buffer], size: int) -> None:
        self.view = memoryview(bytearray(size))
        self._pool = pool
        self._free = free

    def give_back(self) -> None:
        pool = self._pool
        size = len(self.view)
        if pool.kept_bytes + size <= _KEPT_BYTES_MAX:
            pool.kept_bytes += size
            self._free.append(self)


class Buffers:
    """Free buffers by power of two, 4 KiB to 4 MiB, at most 32 MiB in all. On the loop thread only."""

    __slots__ = ("_free", "kept_bytes")

    def __init__(self) -> None:
        self._free: list[list[Buffer]] = [[] for _ in range(_CLASS_MAX + 1)]
        self.kept_bytes = 0

    def take(self, size: int) -> Buffer | None:
        """A buffer of at least `size` bytes; None above the largest class: allocate that plainly."""
        which = (size - 1).bit_length()
        if which < _CLASS_MIN:
            which = _CLASS_MIN
        elif which > _CLASS_MAX:
            return None
        free = self._free[which]
        if free:
            self.kept_bytes -= 1 << which
            return free.pop()
        return Buffer(self, free, 1 << which)
