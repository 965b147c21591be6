"""No space left: producers get errors, what was acknowledged stays, and the broker comes back by itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compat_tests import crash
from compat_tests.broker_process import FLYMQ, BrokerProcess, environment, free_port
from compat_tests.clients import create_topic
from compat_tests.disk_full import fill, resize, small_disk

pytestmark = pytest.mark.compat


DISKS = pytest.mark.parametrize(("disk_mib", "free_min_mib"), [(24, 0), (144, 64)])
"""Size, and `flymq.disk.free.min`: (24, 0) runs into failing writes, (144, 64) is refused before."""

DURABILITIES = pytest.mark.parametrize("durability", ["fsync", "os"])


def settings(durability: str, free_min_mib: int) -> dict[str, object]:
    return {
        "flymq.durability": durability,
        "flymq.disk.free.min": free_min_mib * 1024 * 1024,
        "log.segment.bytes": 1024 * 1024,
    }


def fill_up(broker: BrokerProcess, disk_mib: int) -> dict[tuple[int, int], bytes]:
    """Until the first error; what was acknowledged."""
    create_topic(broker.bootstrap_servers, crash.TOPIC, crash.PARTITIONS)
    acked, errors = fill(broker.bootstrap_servers, crash.TOPIC, crash.PARTITIONS, disk_mib)
    assert errors, "everything was taken"
    assert acked, "nothing was taken"
    crash.check(acked, crash.read_all(broker.bootstrap_servers))
    return acked


def stop(broker: BrokerProcess) -> None:
    code, seconds = broker.stop()
    assert code == 0, broker.stderr
    assert seconds <= 8
    assert "Traceback" not in broker.stderr, broker.stderr


@DURABILITIES
@DISKS
def test_once_there_is_space_it_takes_records_again(
    durability: str, disk_mib: int, free_min_mib: int, tmp_path: Path
) -> None:
    with (
        small_disk(tmp_path / "disk", disk_mib) as disk,
        BrokerProcess(disk / "data", settings(durability, free_min_mib)) as broker,
    ):
        acked = fill_up(broker, disk_mib)
        resize(disk, disk_mib + 200)
        more, errors = fill(broker.bootstrap_servers, crash.TOPIC, crash.PARTITIONS, 10)
        assert not errors, errors[0]
        found = crash.read_all(broker.bootstrap_servers)
        assert {**acked, **more}.items() <= found.items()
        stop(broker)
        broker.start()
        assert crash.read_all(broker.bootstrap_servers) == found


@pytest.mark.parametrize("is_killed", [False, True])
@DURABILITIES
@DISKS
def test_a_stop_and_a_start_while_it_is_full_lose_nothing(
    durability: str, disk_mib: int, free_min_mib: int, is_killed: bool, tmp_path: Path
) -> None:
    """With `flymq.disk.free.min` all can be read at once; without it, once a start finds space."""
    with (
        small_disk(tmp_path / "disk", disk_mib) as disk,
        BrokerProcess(disk / "data", settings(durability, free_min_mib)) as broker,
    ):
        acked = fill_up(broker, disk_mib)
        if is_killed:
            broker.kill()
        else:
            stop(broker)
        if free_min_mib:
            broker.start()
            crash.check(acked, crash.read_all(broker.bootstrap_servers))
        else:
            broker.spawn()
            broker.await_ready_or_end()
            assert "Traceback" not in broker.stderr, broker.stderr
        broker.kill()
        resize(disk, disk_mib + 200)
        broker.start()
        found = crash.read_all(broker.bootstrap_servers)
        crash.check(acked, found)
        stop(broker)
        broker.start()
        assert crash.read_all(broker.bootstrap_servers) == found


def test_a_read_only_disk_is_refused(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        resize(disk, 0)
        command = [FLYMQ, "serve", "--data-dir", str(disk / "data"), "--listen", f"127.0.0.1:{free_port()}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment())
    assert done.returncode == 1
    wrong, hint = done.stderr.splitlines()
    assert wrong.startswith("flymq: ")
    assert str(disk / "data") in wrong
    assert hint.startswith("  ")
