"""AlterReplicaLogDirs: move partitions to another log folder.

Versions:
    v2: flexible.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, String


@struct
class AlterReplicaLogDirTopic(Struct):
    """A topic and its partitions."""

    name: str = field(String)
    partitions: list[int] = field(Array(Int32))


@struct
class AlterReplicaLogDir(Struct):
    """A folder, and the partitions that should be in it."""

    path: str = field(String)
    topics: list[AlterReplicaLogDirTopic] = field(Array(AlterReplicaLogDirTopic))


@message(key=34, versions="1-2", flexible="2+")
class AlterReplicaLogDirsRequest(Message):
    dirs: list[AlterReplicaLogDir] = field(Array(AlterReplicaLogDir))


@struct
class AlterReplicaLogDirPartitionResult(Struct):
    """What became of one partition."""

    partition_index: int = field(Int32)
    error_code: int = field(Int16)


@struct
class AlterReplicaLogDirTopicResult(Struct):
    """Results of one topic."""

    topic_name: str = field(String)
    partitions: list[AlterReplicaLogDirPartitionResult] = field(Array(AlterReplicaLogDirPartitionResult))


@message(key=34, versions="1-2", flexible="2+")
class AlterReplicaLogDirsResponse(Message):
    throttle_time_ms: int = field(Int32)
    results: list[AlterReplicaLogDirTopicResult] = field(Array(AlterReplicaLogDirTopicResult))
