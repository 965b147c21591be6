"""Classic consumer groups and committed offsets, as a pure machine: `shard.GroupShard`."""
