"""Control records: the markers that end a transaction in a partition (KIP-98).

Key: int16 version 0, int16 type. Value: int16 version 0, int32 coordinator epoch. A marker is the one record of
a batch that is transactional and control, with base_sequence -1, and takes one offset.
Source: ControlRecordType and EndTransactionMarker in Apache Kafka 4.
"""

import struct
from typing import Final

from ..errors import ProtocolError
from .record import Record, build_batch

ABORT: Final = 0
COMMIT: Final = 1

_KEY = struct.Struct(">hh")
_VALUE = struct.Struct(">hi")


def build_marker(
    type_: int, producer_id: int, producer_epoch: int, coordinator_epoch: int, timestamp_ms: int, base_offset: int = 0
) -> bytearray:
    """The whole batch of a marker."""
    record = Record(base_offset, timestamp_ms, _KEY.pack(0, type_), _VALUE.pack(0, coordinator_epoch))
    return build_batch(
        [record],
        base_offset=base_offset,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        transactional=True,
        control=True,
    )


def control_type(key: bytes | None) -> int:
    """The type in a control record's key: ABORT, COMMIT, or one of other versions. ProtocolError if it has none.

    A later key version may add fields; the type stays where it is, so any version is read.
    """
    if key is None or len(key) < _KEY.size:
        raise ProtocolError("a control record's key is 4 bytes at least")
    version, type_ = _KEY.unpack_from(key)
    if version < 0:
        raise ProtocolError(f"control record version {version}")
    return int(type_)


def coordinator_epoch(value: bytes | None) -> int:
    """The epoch in a marker's value. ProtocolError if it has none."""
    if value is None or len(value) < _VALUE.size:
        raise ProtocolError("a marker's value is 6 bytes at least")
    version, epoch = _VALUE.unpack_from(value)
    if version < 0:
        raise ProtocolError(f"marker version {version}")
    return int(epoch)
