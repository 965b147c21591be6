"""DescribeLogDirs: log folders, and what is in them.

Versions:
    v2: flexible. v3: error_code. v4: bytes of the volume (KIP-827). v5: is_cordoned (KIP-1066).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int16, Int32, Int64, Nullable, String


@struct
class DescribableLogDirTopic(Struct):
    """A topic and its partitions."""

    topic: str = field(String)
    partitions: list[int] = field(Array(Int32))


@message(key=35, versions="1-5", flexible="2+")
class DescribeLogDirsRequest(Message):
    topics: list[DescribableLogDirTopic] | None = field(Nullable(Array(DescribableLogDirTopic)))


@struct
class DescribeLogDirsPartition(Struct):
    """One partition's bytes."""

    partition_index: int = field(Int32)
    partition_size: int = field(Int64)
    offset_lag: int = field(Int64)
    is_future_key: bool = field(Bool)


@struct
class DescribeLogDirsTopic(Struct):
    """Partitions of one topic in a folder."""

    name: str = field(String)
    partitions: list[DescribeLogDirsPartition] = field(Array(DescribeLogDirsPartition))


@struct
class DescribeLogDirsResult(Struct):
    """A folder; -1 bytes where its volume doesn't say."""

    error_code: int = field(Int16)
    log_dir: str = field(String)
    topics: list[DescribeLogDirsTopic] = field(Array(DescribeLogDirsTopic))
    total_bytes: int = field(Int64, versions="4+", default=-1, ignorable=True)
    usable_bytes: int = field(Int64, versions="4+", default=-1, ignorable=True)
    is_cordoned: bool = field(Bool, versions="5+", ignorable=True)


@message(key=35, versions="1-5", flexible="2+")
class DescribeLogDirsResponse(Message):
    throttle_time_ms: int = field(Int32)
    error_code: int = field(Int16, versions="3+", ignorable=True)
    results: list[DescribeLogDirsResult] = field(Array(DescribeLogDirsResult))
