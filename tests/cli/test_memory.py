"""Reading and copying stream: memory does not grow with the topic. At full size with `-m soak`."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable

import psutil
import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import FlyMQClient
from tests.cli.kit import finish, start

GROWTH_MAX = 40 << 20
# By then it is imported and connected, and the first messages have come.
START_CPU_S = 0.7
_COMMANDS = ["consume {topic}", "consume {topic} -O json", "topics copy {topic} {topic}-copy"]


def growth(command: str, servers: str) -> int:
    """Bytes by which a run's memory grew after its first second of work; its stdout goes nowhere."""
    with open("/dev/null", "wb") as nowhere, start(*command.split(), servers=servers, stdout=nowhere) as process:
        measured = psutil.Process(process.pid)
        first = peak = 0
        while not ended(process):
            with contextlib.suppress(psutil.NoSuchProcess):
                used = measured.memory_info().rss
                peak = max(peak, used)
                if not first and sum(measured.cpu_times()[:2]) > START_CPU_S:
                    first = used
        assert finish(process).code == 0
    assert first, "it was over before it was measured"
    return peak - first


def ended(process: subprocess.Popen[bytes]) -> bool:
    """Within a moment."""
    try:
        process.wait(0.02)
    except subprocess.TimeoutExpired:
        return False
    return True


def filled(servers: str, topic: str, count: int, size: int) -> None:
    with FlyMQClient(servers) as client, client.producer(linger_ms=20, batch_size=1 << 18) as producer:
        client.create_topic(topic, partitions=2)
        value = bytes(size)
        for n in range(count):
            producer.send(topic, value, partition=n % 2)
        producer.flush()


@pytest.mark.parametrize("command", [_COMMANDS[0], _COMMANDS[2]])
def test_a_topic_larger_than_that(command: str, fresh_name: Callable[..., str]) -> None:
    """120 MB: more than a second of work on a fast machine, too."""
    topic = fresh_name("topic")
    with BrokerProcess(None) as broker:
        filled(broker.bootstrap_servers, topic, 60_000, 2000)
        assert growth(command.format(topic=topic), broker.bootstrap_servers) <= GROWTH_MAX


@pytest.mark.soak
@pytest.mark.parametrize("command", _COMMANDS)
def test_a_million_messages(command: str, fresh_name: Callable[..., str]) -> None:
    topic = fresh_name("topic")
    with BrokerProcess(None) as broker:
        filled(broker.bootstrap_servers, topic, 1_000_000, 100)
        assert growth(command.format(topic=topic), broker.bootstrap_servers) <= GROWTH_MAX
