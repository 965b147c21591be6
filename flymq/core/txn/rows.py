"""Transactions as rows of a shard: text keys, JSON values.

    txn/<transactional id>   state, producer, timeout, times, targets

NUL and % in an id are written as in the keys of groups.
"""

from __future__ import annotations

import json
from typing import Any

from flymq.core.group.rows import escape, unescape
from flymq.core.txn.transaction import Producer, State, Transaction

TXN = "txn/"


def txn_key(transactional_id: str) -> str:
    return TXN + escape(transactional_id)


def txn_value(txn: Transaction) -> str:
    return json.dumps({
        "state": txn.state.value,
        "producer_id": txn.producer.id,
        "producer_epoch": txn.producer.epoch,
        "last_producer_id": txn.last.id,
        "last_producer_epoch": txn.last.epoch,
        "next_producer_id": txn.next_producer_id,
        "timeout_ms": txn.timeout_ms,
        "start_ms": txn.start_ms,
        "update_ms": txn.update_ms,
        "transaction_version": txn.transaction_version,
        "partitions": [[topic_id.hex(), index] for topic_id, index in txn.partitions],
        "groups": list(txn.groups),
    }, separators=(",", ":"))


def parse_txn(key: str, value: str) -> Transaction:
    row: dict[str, Any] = json.loads(value)
    producer = Producer(row["producer_id"], row["producer_epoch"])
    txn = Transaction(unescape(key[len(TXN) :]), producer, row["timeout_ms"], row["update_ms"])
    txn.last = Producer(row["last_producer_id"], row["last_producer_epoch"])
    txn.next_producer_id = row["next_producer_id"]
    txn.state = State(row["state"])
    txn.start_ms = row["start_ms"]
    txn.transaction_version = row["transaction_version"]
    txn.add([(bytes.fromhex(topic_id), index) for topic_id, index in row["partitions"]], row["groups"])
    return txn
