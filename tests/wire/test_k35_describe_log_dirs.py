"""DescribeLogDirs on the wire, in memory and on a disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from flymq import EmbeddedBroker
from flymq_protocol.api.k35_describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest

from .batches import a_batch
from .client import Client
from .kit import a_topic, produce


def sizes(client: Client, *topics: tuple[str, list[int]], version: int = 5) -> dict[tuple[str, int], int]:
    """(topic, partition) -> bytes; no topics: all."""
    asked = [DescribableLogDirTopic(name, indexes) for name, indexes in topics] or None
    answer = client.call(DescribeLogDirsRequest(asked), version)
    (folder,) = answer.results
    assert answer.error_code == folder.error_code == 0
    rows = [(topic.name, one) for topic in folder.topics for one in topic.partitions]
    assert all((one.offset_lag, one.is_future_key) == (0, False) for _, one in rows)
    return {(name, one.partition_index): one.partition_size for name, one in rows}


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, 3)
    produce(client, topic, first := a_batch(), 0)
    produce(client, topic, second := a_batch([b"v"] * 7), 1)
    produce(client, topic, second, 1)
    expected = {(topic.name, 0): len(first), (topic.name, 1): 2 * len(second), (topic.name, 2): 0}
    assert sizes(client, (topic.name, [0, 1, 2]), version=version) == expected
    found = sizes(client, version=version)
    assert {key: found[key] for key in expected} == expected


def test_what_is_not_there_is_left_out(client: Client) -> None:
    topic = a_topic(client, 2)
    assert sizes(client, (topic.name, [1, 7, -1, 1]), ("none", [0])) == {(topic.name, 1): 0}
    assert client.call(DescribeLogDirsRequest([]), 5).results[0].topics == []


def test_a_broker_in_memory_knows_no_disk(client: Client, broker: EmbeddedBroker) -> None:
    (folder,) = client.call(DescribeLogDirsRequest([]), 4).results
    assert (folder.log_dir, folder.total_bytes, folder.usable_bytes) == ("memory", -1, -1)


def test_a_folder_on_a_disk(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with EmbeddedBroker(data_dir=data) as broker, Client(broker.port) as client:
        topic = a_topic(client)
        produce(client, topic, a_batch([b"v"] * 3))
        (folder,) = client.call(DescribeLogDirsRequest(None), 5).results
        assert (Path(folder.log_dir), folder.is_cordoned) == (data, False)
        assert Path(folder.log_dir).is_absolute()
        assert folder.total_bytes == shutil.disk_usage(data).total
        assert 0 < folder.usable_bytes <= folder.total_bytes
        (log,) = data.glob(f"logs/{topic.name}/*/*.log")
        assert sizes(client) == {(topic.name, 0): log.stat().st_size}
