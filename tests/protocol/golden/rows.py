"""What the rows of this folder are made of: (message, version, body as hex, written out from Kafka's declarations)."""

from flymq_protocol.message import Message

Row = tuple[Message, int, str]

ID = bytes(range(16))
ID_HEX = ID.hex()
MINUS_1 = "ffffffff"
LONG_MINUS_1 = "ffffffffffffffff"
SEVEN = "0000000000000007"  # int64: the producer id of most rows
EIGHT = "0000000000000008"
NO_OPERATIONS = "80000000"
