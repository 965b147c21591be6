"""The header fields of record batch v2 that a store needs, read where they lie.

Layout, big-endian, as in Kafka's DefaultRecordBatch: base offset i64 @0, length i32 @8 (bytes after
it), leader epoch i32 @12, magic i8 @16, CRC-32C u32 @17 of everything from @21, attributes i16 @21,
last offset delta i32 @23, base timestamp i64 @27, max timestamp i64 @35, producer id i64 @43.
"""

from __future__ import annotations

from struct import Struct

HEADER_BYTES = 61
LENGTH_END = 12  # a batch's size is its length field plus this
CRC_FROM = 21

# (base offset, length, leader epoch, magic, crc, attributes, last offset delta, base timestamp, max timestamp)
FIELDS = Struct(">qiibIhiqq")
# (base offset, length, last offset delta)
PLACE = Struct(">qi11xi")
BASE_OFFSET = Struct(">q")
MAX_TIMESTAMP = Struct(">q")
MAX_TIMESTAMP_AT = 35
PRODUCER_ID = Struct(">q")
PRODUCER_ID_AT = 43

ATTRIBUTES_LOW_AT = 22
TRANSACTIONAL = 0x10
CONTROL = 0x20
