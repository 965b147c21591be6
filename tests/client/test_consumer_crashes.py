"""Consumers in processes of their own, that are killed or interrupted: nothing is skipped, ever."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.messages import Partition
from tests.client.consuming import EARLIEST, TIMEOUT_S, await_commit, offsets, refusals, take, until

MESSAGES = 10
# A dead member is out of its group after this long, instead of 45 s.
SESSION: dict[str, Any] = {"session_timeout_ms": 1000, "heartbeat_interval_ms": 100}

# Tells on stdout, in JSON: "joined", then for each message its offset when its turn begins, and "done" when it is over.
CHILD = """
    import json, os, signal, sys, threading
    from flymq import FlyMQClient

    where, topic, group, settings, work = sys.argv[1:]
    settings = json.loads(settings)

    def tell(what, offset=None):
        print(json.dumps([what, offset]), flush=True)

    def crash_at_5(consumer, message):
        if message.offset == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    def commit_each_and_crash_at_5(consumer, message):
        crash_at_5(consumer, message)
        consumer.commit()

    def commit_each(consumer, message):
        consumer.commit()

    def hang_at_5(consumer, message):
        if message.offset == 5:
            threading.Event().wait()

    def slowly(consumer, message):
        threading.Event().wait(0.25)

    def nothing(consumer, message):
        pass

    with FlyMQClient(where) as client, client.consumer(topic, group, **settings) as consumer:
        signal.signal(signal.SIGTERM, lambda *_: consumer.stop())
        tell("joined")
        for message in consumer:
            tell("got", message.offset)
            globals()[work](consumer, message)
            tell("done", message.offset)
"""


class Child:
    """The process, and what it told so far; `stderr` once it ended."""

    def __init__(self, script: Path, where: str, topic: str, group: str, work: str, settings: dict[str, Any]) -> None:
        self.topic, self.group = topic, group
        self.got: list[int] = []
        self.done: list[int] = []
        self.stderr = ""
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as this object
        argv = [sys.executable, str(script), where, topic, group, json.dumps({**SESSION, **settings}), work]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=self._stderr, text=True)

    def read(self, until: tuple[str, int | None]) -> None:
        """What it tells, up to this."""
        assert self._read(until), f"it ended before {until}: {self._ended()}"

    def _read(self, until: tuple[str, int | None] | None) -> bool:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith("\n"):  # cut off by a kill
                break
            what, offset = json.loads(line)
            if what in ("got", "done"):
                (self.got if what == "got" else self.done).append(offset)
            if (what, offset) == until:
                return True
        return False

    def _ended(self) -> str:
        if not self._stderr.closed:
            self._process.wait(TIMEOUT_S)
            self._stderr.seek(0)
            self.stderr = self._stderr.read()
            self._stderr.close()
            if self._process.stdout is not None:
                self._process.stdout.close()
        return self.stderr

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code; all that it told is read."""
        if not self._stderr.closed:
            self._read(None)
            self._ended()
        return self._process.returncode

    def kill(self) -> None:
        self._process.kill()
        self.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


StartChild = Callable[..., Child]


@pytest.fixture(scope="module")
def quick_broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(config={"group.min.session.timeout.ms": 500}) as broker:
        yield broker


@pytest.fixture
def client(quick_broker: EmbeddedBroker) -> Iterator[FlyMQClient]:
    with FlyMQClient(quick_broker.bootstrap_servers) as client:
        yield client


@pytest.fixture
def topic(quick_broker: EmbeddedBroker, fresh_name: Callable[..., str]) -> str:
    """One partition with `MESSAGES` messages."""
    name = fresh_name("topic")
    quick_broker.seed(name, [str(number) for number in range(MESSAGES)])
    return name


def write_script(folder: Path) -> Path:
    path = folder / "consume.py"
    path.write_text(textwrap.dedent(CHILD))
    return path


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return write_script(tmp_path)


@pytest.fixture
def start(quick_broker: EmbeddedBroker, script: Path, topic: str, group: str) -> StartChild:
    def started(work: str = "nothing", **settings: Any) -> Child:
        return Child(script, quick_broker.bootstrap_servers, topic, group, work, settings)

    return started


def rest(client: FlyMQClient, topic: str, group: str, end: int = MESSAGES, **settings: Any) -> list[int]:
    """What the group gets after a restart, up to the last message."""
    with client.consumer(topic, group, **{**EARLIEST, **SESSION, **settings}) as consumer:
        found = []
        for message in consumer:
            found.append(message.offset)
            if message.offset == end - 1:
                break
    return found


# -- killed in the body of the loop ---------------------------------------------------------------


CRASHES: dict[str, tuple[str, dict[str, Any]]] = {
    "auto": ("crash_at_5", {}),
    "auto, all the time": ("crash_at_5", {"auto_commit_interval": 0}),
    "manual": ("commit_each_and_crash_at_5", {"auto_commit": False}),
    "never": ("crash_at_5", {"auto_commit": False, "auto_commit_interval": 0}),
}


@pytest.fixture(scope="module")
def crashed(quick_broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Child]:
    """One for each way to commit, with a topic and a group of that name; all at the same time, to save some."""
    script = write_script(tmp_path_factory.mktemp("crashes"))
    children = {}
    for number, (name, (work, settings)) in enumerate(CRASHES.items()):
        quick_broker.seed(f"crash-{number}", [str(number) for number in range(MESSAGES)])
        settings = {"auto_offset_reset": "earliest", **settings}
        where = quick_broker.bootstrap_servers
        children[name] = Child(script, where, f"crash-{number}", f"crash-{number}", work, settings)
    for child in children.values():
        assert child.wait() == -signal.SIGKILL, child.stderr
    return children


@pytest.mark.parametrize("how", ["auto", "auto, all the time"])
def test_with_auto_commit_a_crash_at_message_5_brings_it_again(
    quick_broker: EmbeddedBroker, client: FlyMQClient, crashed: dict[str, Child], how: str
) -> None:
    child = crashed[how]
    assert child.got == [0, 1, 2, 3, 4, 5]
    committed = quick_broker.committed(child.group).get(Partition(child.topic, 0), 0)
    assert committed <= 5
    assert rest(client, child.topic, child.group) == list(range(committed, MESSAGES))


def test_with_a_commit_for_each_message_a_crash_at_5_brings_5_and_what_follows(
    quick_broker: EmbeddedBroker, client: FlyMQClient, crashed: dict[str, Child]
) -> None:
    child = crashed["manual"]
    assert child.got == [0, 1, 2, 3, 4, 5]
    assert quick_broker.committed(child.group) == {(child.topic, 0): 5}
    assert rest(client, child.topic, child.group) == [5, 6, 7, 8, 9]


def test_without_any_commit_a_crash_brings_everything_again(
    quick_broker: EmbeddedBroker, client: FlyMQClient, crashed: dict[str, Child]
) -> None:
    child = crashed["never"]
    assert quick_broker.committed(child.group) == {}
    assert rest(client, child.topic, child.group) == list(range(MESSAGES))


@pytest.mark.parametrize(
    ("work", "settings"),
    [("nothing", {"auto_commit_interval": 0.01}), ("commit_each", {"auto_commit": False})],
    ids=["auto", "manual"],
)
def test_however_often_it_is_killed_nothing_is_skipped(
    quick_broker: EmbeddedBroker,
    client: FlyMQClient,
    start: StartChild,
    topic: str,
    group: str,
    work: str,
    settings: dict[str, Any],
) -> None:
    end = 3000
    quick_broker.seed(topic, [str(number) for number in range(MESSAGES, end)])
    dice = random.Random(5)
    committed = reached = 0
    for _ in range(2):
        with start(work, auto_offset_reset="earliest", **settings) as child:
            child.read(("joined", None))
            child.read(("got", reached + dice.randrange(1, 300)))
            child.kill()
        assert child.got == list(range(committed, child.got[-1] + 1))
        reached = (child.got if work == "commit_each" else child.done)[-1] + 1
        committed = quick_broker.committed(group).get(Partition(topic, 0), 0)
        assert committed <= reached
    assert rest(client, topic, group, end) == list(range(committed, end))


# -- a slow handler -------------------------------------------------------------------------------


def test_a_slow_handler_commits_every_5_seconds(
    quick_broker: EmbeddedBroker, client: FlyMQClient, start: StartChild, topic: str, group: str
) -> None:
    """By default; all that it works on was fetched at once, before the first commit was due."""
    quick_broker.seed(topic, [str(number) for number in range(MESSAGES, 60)])
    with start("slowly", auto_offset_reset="earliest") as child:
        child.read(("joined", None))
        began = time.monotonic()
        until(lambda: quick_broker.committed(group) and time.monotonic() > began, "a commit")
        took = time.monotonic() - began
        committed = quick_broker.committed(group)[Partition(topic, 0)]
        child.kill()
    assert 3.5 < took < 15
    assert 5 <= committed <= len(child.done) < 60
    assert rest(client, topic, group, 60)[0] == committed


# -- a group that begins at the end ---------------------------------------------------------------


def test_a_group_that_begins_at_the_end_skips_nothing_after_a_crash(
    quick_broker: EmbeddedBroker, client: FlyMQClient, start: StartChild, topic: str, group: str
) -> None:
    """Killed before its first commit was due; what came while nobody was there is read, too."""
    with start("hang_at_5") as child:  # it has no such message
        child.read(("joined", None))
        quick_broker.seed(topic, ["after it joined"])
        child.read(("got", MESSAGES))
        child.kill()
    quick_broker.seed(topic, ["while it was away"])
    found = rest(client, topic, group, MESSAGES + 2, auto_offset_reset="latest")
    assert found == [MESSAGES, MESSAGES + 1]


def test_nor_does_one_that_was_killed_while_it_waited(
    quick_broker: EmbeddedBroker, client: FlyMQClient, start: StartChild, topic: str, group: str
) -> None:
    with start() as child:
        child.read(("joined", None))
        child.kill()
    quick_broker.seed(topic, ["while it was away"])
    assert rest(client, topic, group, MESSAGES + 1, auto_offset_reset="latest") == [MESSAGES]


# -- signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("auto_commit", [True, False])
def test_ctrl_c_in_the_body_leaves_its_message(
    quick_broker: EmbeddedBroker, client: FlyMQClient, start: StartChild, topic: str, group: str, auto_commit: bool
) -> None:
    with start("hang_at_5", auto_offset_reset="earliest", auto_commit=auto_commit) as child:
        child.read(("got", 5))
        child.send(signal.SIGINT)
        assert child.wait() == -signal.SIGINT
    assert "KeyboardInterrupt" in child.stderr
    assert quick_broker.committed(group) == ({(topic, 0): 5} if auto_commit else {})
    assert client.groups.members(group) == []  # it left
    assert rest(client, topic, group)[0] == (5 if auto_commit else 0)


def test_ctrl_c_while_it_waits_commits_everything(
    quick_broker: EmbeddedBroker, client: FlyMQClient, start: StartChild, topic: str, group: str
) -> None:
    with start(auto_offset_reset="earliest", auto_commit_interval=0.1) as child:
        await_commit(quick_broker, group, {(topic, 0): MESSAGES})  # so it waits
        child.send(signal.SIGINT)
        assert child.wait() == -signal.SIGINT
    assert child.done == list(range(MESSAGES))
    assert quick_broker.committed(group) == {(topic, 0): MESSAGES}
    assert client.groups.members(group) == []


def test_stop_in_a_signal_handler_ends_it_cleanly(
    quick_broker: EmbeddedBroker, client: FlyMQClient, start: StartChild, topic: str, group: str
) -> None:
    with start("slowly", auto_offset_reset="earliest") as child:
        child.read(("got", 2))
        child.send(signal.SIGTERM)
        assert child.wait() == 0
    assert child.got == child.done
    assert quick_broker.committed(group) == {(topic, 0): len(child.got)}
    assert client.groups.members(group) == []


# -- the broker is killed -------------------------------------------------------------------------


@pytest.fixture
def refused(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with refusals(caplog):
        yield


@pytest.mark.usefixtures("refused")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_the_broker_and_the_consumer_are_killed_both(tmp_path: Path, script: Path) -> None:
    """What was committed outlives them; the group goes on from there."""
    with BrokerProcess(tmp_path / "data", {"group.min.session.timeout.ms": 500}) as broker:
        with FlyMQClient(broker.bootstrap_servers) as client:
            client.produce_many("orders", [str(number) for number in range(MESSAGES)]).raise_for_errors()
        settings = {"auto_offset_reset": "earliest", "auto_commit": False}
        with Child(script, broker.bootstrap_servers, "orders", "kitchen", "commit_each", settings) as child:
            child.read(("done", 5))
            broker.kill()
        broker.start()
        with FlyMQClient(broker.bootstrap_servers) as client:
            last = child.done[-1] + 1
            assert client.groups.offsets("kitchen")[Partition("orders", 0)] >= last
            client.produce_many("orders", ["more"]).raise_for_errors()
            with client.consumer("orders", "kitchen", **{**EARLIEST, **SESSION}) as consumer:
                assert offsets(take(consumer, 1))[0] in (last, last + 1)  # the last commit's answer may be lost


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_going_back_to_what_is_committed_waits_for_the_broker(tmp_path: Path) -> None:
    """As a loop has to, whose transaction was aborted because the broker went away."""
    with BrokerProcess(tmp_path / "data") as broker, FlyMQClient(broker.bootstrap_servers) as client:
        client.produce_many("orders", [str(number) for number in range(MESSAGES)]).raise_for_errors()
        with client.consumer("orders", "kitchen", **{**EARLIEST, "auto_commit": False}) as consumer:
            take(consumer, 3)
            consumer.commit()
            take(consumer, 2)
            broker.kill()
            starting = threading.Timer(2.0, broker.start)
            starting.start()
            consumer.seek_to_committed()
            starting.join()
            assert offsets(take(consumer, 1)) == [3]
