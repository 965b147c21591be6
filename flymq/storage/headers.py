"""The header fields of record batch v2 that a store needs, read where they lie.

The layout is that of `flymq_protocol.records.batch`; here are only the partial reads that spare a
store the other fields, one unpack a batch.
"""

from __future__ import annotations

from struct import Struct

from flymq_protocol.records.batch import HEADER_SIZE, MAGIC, MAX_TIMESTAMP_OFFSET, PREFIX_SIZE

HEADER_BYTES = HEADER_SIZE
LENGTH_END = PREFIX_SIZE  # a batch's size is its length field plus this
CRC_FROM = 21  # the CRC covers everything from here
BATCH_MAGIC = MAGIC

# (base offset, length, leader epoch, magic, crc, attributes, last offset delta, base timestamp, max timestamp)
FIELDS = Struct(">qiibIhiqq")
# (base offset, length, last offset delta)
PLACE = Struct(">qi11xi")
BASE_OFFSET = Struct(">q")
MAX_TIMESTAMP = Struct(">q")
MAX_TIMESTAMP_AT = MAX_TIMESTAMP_OFFSET
