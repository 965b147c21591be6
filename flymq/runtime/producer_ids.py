"""Producer ids: never given twice, across restarts too.

They are taken from the store in blocks, as Kafka's controller hands blocks to its brokers: the block's end is
durable before its first id is given, and what is left of a block at a crash is lost. (KIP-730)
"""

from __future__ import annotations

from flymq.env import Token
from flymq.storage.api import ShardStore

SHARD = "producer_ids"
BLOCK_SIZE = 1000
_NEXT_BLOCK = "next_block"


class ProducerIds:
    """Gives ids from 0 on."""

    def __init__(self, shards: ShardStore) -> None:
        self._shards = shards
        stored = dict(shards.load(SHARD)).get(_NEXT_BLOCK)
        self._next = self._end = int(stored) if stored is not None else 0
        self._waiting: list[Token] = []
        self._taking_block = False

    def next(self) -> Token:
        """A token of the next id; of a StorageError where the store could not keep the new block."""
        token = Token()
        self._waiting.append(token)
        self._serve()
        return token

    def _serve(self) -> None:
        while self._waiting and self._next < self._end:
            producer_id = self._next
            self._next += 1
            self._waiting.pop(0).complete(producer_id)
        if self._waiting and not self._taking_block:
            self._taking_block = True
            block_end = self._end + BLOCK_SIZE
            self._shards.write(SHARD, [(_NEXT_BLOCK, str(block_end))]).then(
                lambda result: self._block_taken(block_end, result)
            )

    def _block_taken(self, block_end: int, result: object) -> None:
        self._taking_block = False
        if isinstance(result, Exception):
            # Stored or not, the block was given to nobody: the next attempt asks for the same one.
            waiting, self._waiting = self._waiting, []
            for token in waiting:
                token.complete(result)
            return
        self._end = block_end
        self._serve()
