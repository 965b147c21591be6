"""A response body that is encoded once and sent many times."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flymq_protocol.message import Message


class Encoded:
    """Stands for a response where only its bytes are needed. The correlation id is not in the body."""

    __slots__ = ("_parts", "_version")

    def __init__(self, message: Message, version: int) -> None:
        self._parts = message.encode_parts(version)
        self._version = version

    def encode_parts(self, version: int) -> list[bytes | memoryview]:
        """As `Message.encode_parts`, for the version it was made for."""
        assert version == self._version
        return list(self._parts)

    def encode(self, version: int) -> bytes:
        """As `Message.encode`, for the version it was made for."""
        return b"".join(self.encode_parts(version))
