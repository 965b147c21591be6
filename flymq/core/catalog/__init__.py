"""Which topics there are: names, creation, deletion. Pure."""

from flymq.core.catalog.catalog import PARTITIONS_MAX, Catalog, NewTopic, TopicError
from flymq.core.catalog.names import CLUSTER_METADATA, collision_key, why_illegal
from flymq.core.catalog.topic import SHARD, Topic

__all__ = [
    "CLUSTER_METADATA",
    "PARTITIONS_MAX",
    "SHARD",
    "Catalog",
    "NewTopic",
    "Topic",
    "TopicError",
    "collision_key",
    "why_illegal",
]
