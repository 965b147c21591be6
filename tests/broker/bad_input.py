"""Bytes that no client sends, against a broker in a process of its own.

    python -m tests.broker.bad_input 100000 [SEED]

Each frame must be answered in its API's shape or have its connection closed; a second connection produces
and reads the right bytes all the while; the broker logs nothing at WARNING or above, and does not grow.
"""

from __future__ import annotations

import random
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from types import TracebackType
from typing import IO, Any, Self

import psutil

from flymq.broker.handlers import HANDLERS
from flymq_protocol.api.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from flymq_protocol.api.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from flymq_protocol.api.k18_api_versions import ApiVersionsRequest
from flymq_protocol.errors import ProtocolError
from flymq_protocol.framing import decode_response, encode_request
from tests.wire.batches import a_batch, stored
from tests.wire.client import Client, Closed
from tests.wire.kit import Topic, a_topic, fetch, produce
from tests.wire.requests import asking

PAIRS = [(row.key, version) for row in HANDLERS.values() for version in range(row.min_version, row.max_version + 1)]
BOUNDARIES = [-(2**31), -2, -1, 0, 1, 127, 255, 32767, 65535, 2**24, 2**31 - 1]
PATIENCE_S = 0.02  # for an answer that may not come: a fetch that waits, a frame that is not whole
HALF_OPEN_MAX = 100
PROBE_ID = 0x7EADBEEF
MIB = 1 << 20


class BrokerProcess:
    """`flymq dev` as a child; what it writes to stderr is kept."""

    def __enter__(self) -> Self:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # closed in __exit__
        command = [sys.executable, "-c", "from flymq.broker.command import main; main()", "dev"]
        self._process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=self._log
        )
        self._stats = psutil.Process(self._process.pid)
        self.port = self._read_port()
        return self

    def _read_port(self) -> int:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if b"kafka://" in line:
                return int(line.rpartition(b":")[2].split()[0])
        raise AssertionError(f"the broker did not start: {self.log()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self.exit_code = self._process.wait(20)
        self._log.close()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def rss(self) -> int:
        return int(self._stats.memory_info().rss)

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode()


class Steady:
    """The connection that must not notice anything: what it reads is what it wrote."""

    def __init__(self, port: int) -> None:
        self.client = Client(port, "steady")
        self.topic = a_topic(self.client)
        self.rounds = 0

    def check(self) -> None:
        batch = a_batch([b"round %d" % self.rounds])
        answer = produce(self.client, self.topic, batch)
        assert (answer.error_code, answer.base_offset) == (0, self.rounds), answer
        data = fetch(self.client, self.topic, self.rounds)
        assert bytes(data.records) == stored(batch, self.rounds)
        self.rounds += 1


class Frames:
    """Seeded bad frames, size prefix included."""

    def __init__(self, seed: int, topic: Topic) -> None:
        self._random = random.Random(seed)
        self._topic = topic
        self._kinds = [
            self._noise, self._noise_behind_a_header, self._flipped, self._flipped, self._boundary, self._boundary,
            self._cut, self._grown, self._spliced, self._wrong_header, self._bad_size, self._bad_batch, self._bad_name,
        ]

    def next(self) -> tuple[str, bytes]:
        kind = self._random.choice(self._kinds)
        return kind.__name__.strip("_"), kind()

    # -- good ones, to be spoilt ------------------------------------------------------------------

    def _good(self) -> bytearray:
        pick = self._random
        key, version = pick.choice(PAIRS)
        request: Any = asking(key, version)
        if key == 0:
            request = self._producing(a_batch([b"x"] * pick.randint(1, 5)))
        elif key == 1:
            fetched = FetchPartition(fetch_offset=pick.randint(0, 3), partition_max_bytes=pick.choice(BOUNDARIES[2:]))
            request = FetchRequest(topics=[FetchTopic(self._topic.name, self._topic.id, [fetched])])
        elif key == 3 and version >= 4:
            request.allow_auto_topic_creation = False
        elif key == 19:
            request.validate_only = True
        return bytearray(encode_request(request, version, pick.getrandbits(30), pick.choice([None, "", "bad"])))

    def _producing(self, batch: bytes) -> ProduceRequest:
        data = [TopicProduceData(self._topic.name, self._topic.id, [PartitionProduceData(0, batch)])]
        return ProduceRequest(None, self._random.choice([-1, 0, 1, 2]), 1000, data)

    # -- kinds ------------------------------------------------------------------------------------

    def _noise(self) -> bytes:
        return sized(self._random.randbytes(self._random.randint(0, 200)))

    def _noise_behind_a_header(self) -> bytes:
        key, version = self._random.choice(PAIRS)
        return sized(struct.pack(">hhih", key, version, 1, -1) + self._random.randbytes(self._random.randint(0, 100)))

    def _flipped(self) -> bytes:
        frame = self._good()
        for _ in range(self._random.choice([1, 1, 2, 8])):
            frame[self._random.randrange(4, len(frame))] ^= 1 << self._random.randrange(8)
        return bytes(frame)

    def _boundary(self) -> bytes:
        """An integer somewhere that is as large, small or negative as can be."""
        frame = self._good()
        size = self._random.choice([1, 2, 4])
        at = self._random.randrange(12, max(13, len(frame) - size))
        frame[at : at + size] = struct.pack(">i", self._random.choice(BOUNDARIES))[-size:]
        return sized(frame[4:])

    def _cut(self) -> bytes:
        frame = self._good()
        return sized(frame[4 : self._random.randint(4, len(frame))])

    def _grown(self) -> bytes:
        frame = self._good()
        at = self._random.randrange(4, len(frame))
        frame[at:at] = self._random.randbytes(self._random.randint(1, 50))
        return sized(frame[4:])

    def _spliced(self) -> bytes:
        one, other = self._good(), self._good()
        return sized(one[4 : self._random.randint(4, len(one))] + other[self._random.randint(4, len(other)) :])

    def _wrong_header(self) -> bytes:
        frame = self._good()
        struct.pack_into(">hh", frame, 4, self._random.randint(-5, 100), self._random.randint(-3, 20))
        return bytes(frame)

    def _bad_size(self) -> bytes:
        frame = self._good()
        size = self._random.choice([*BOUNDARIES, 104857600, 104857601, len(frame), 16 * MIB + 1])
        struct.pack_into(">i", frame, 0, size)
        return bytes(frame)

    def _bad_batch(self) -> bytes:
        """A wrong CRC, a lying count, anything at all in a batch: in a request that is fine."""
        batch = bytearray(a_batch([b"x"] * self._random.randint(1, 5)))
        at = self._random.randrange(len(batch) - 4)
        batch[at : at + 4] = struct.pack(">i", self._random.choice(BOUNDARIES))
        batch = batch[: self._random.choice([len(batch), len(batch), self._random.randrange(len(batch))])]
        version = self._random.randint(3, 13)
        return encode_request(self._producing(bytes(batch)), version, 1, "bad")

    def _bad_name(self) -> bytes:
        name = self._random.choice(["a/b", "../../etc", "", ".", "x" * 300, "\0", "ä" * 200, "a\nb"])
        topic = Topic(name, self._random.randbytes(16))
        key, version = self._random.choice(PAIRS)
        request: Any = asking(key, version)
        if key == 0:
            request = ProduceRequest(None, 1, 1, [TopicProduceData(name, topic.id, [PartitionProduceData(0, b"")])])
        elif key == 1:
            request = FetchRequest(topics=[FetchTopic(name, topic.id, [FetchPartition()])])
        elif key in (2, 3, 8, 19):
            request.topics[0].name = name
        elif key == 23:
            request.topics[0].topic = name
        return encode_request(request, version, 1, "bad")


def sized(content: bytes | bytearray) -> bytes:
    return struct.pack(">i", len(content)) + content


class Bad:
    """Sends bad frames; what became of each is counted."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._client: Client | None = None
        self._half_open: deque[Client] = deque()
        self.outcomes: Counter[str] = Counter()

    def send(self, kind: str, frame: bytes) -> None:
        client = self._client = self._client or Client(self._port, "bad")
        is_whole = int.from_bytes(frame[:4], "big", signed=True) <= len(frame) - 4
        try:
            if is_whole:
                # What is said to this second request shows that the first one is done with.
                client.send_raw(frame + encode_request(ApiVersionsRequest(), 0, PROBE_ID, None))
                outcome = self._read(client, frame)
            else:
                client.send_raw(frame)
                outcome = "left half open"
        except (Closed, OSError):
            outcome = "closed"
        self.outcomes[outcome] += 1
        if outcome in ("closed", "waiting"):
            client.close()
            self._client = None
        elif outcome == "left half open":
            self._half_open.append(client)
            self._client = None
            if len(self._half_open) > HALF_OPEN_MAX:
                self._half_open.popleft().close()

    def _read(self, client: Client, sent: bytes) -> str:
        """Every answer must be one of the API that was asked."""
        outcome = "no answer (acks=0)"
        while True:
            if not client._received and not select.select([client.socket], [], [], PATIENCE_S)[0]:
                return "waiting"
            frame = client.recv_frame()
            if frame[:4] == PROBE_ID.to_bytes(4, "big"):
                return outcome
            key, version, correlation_id = struct.unpack_from(">hhi", sent, 4)
            if key == 18 and not 0 <= version <= HANDLERS[18].max_version:
                version = 0
            assert decode_response(key, version, frame)[0] == correlation_id
            outcome = "answered"

    def close(self) -> None:
        for client in [*self._half_open, *([self._client] if self._client else [])]:
            client.close()


class Report:
    """What `run` has seen."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.rounds = 0
        self.rss_before = self.rss_after = 0
        self.seconds = 0.0
        self.log = ""

    def __str__(self) -> str:
        return (
            f"{sum(self.outcomes.values())} frames in {self.seconds:.0f} s: {dict(self.outcomes)}; "
            f"{self.rounds} rounds of another client undisturbed; "
            f"RSS {self.rss_before // MIB} -> {self.rss_after // MIB} MiB; log: {self.log.strip() or 'empty'}"
        )


def run(count: int, seed: int) -> Report:
    """Raises where an answer is wrong or the other client is disturbed; the caller looks at the rest."""
    report = Report()
    started = time.monotonic()
    with BrokerProcess() as broker:
        steady, bad = Steady(broker.port), Bad(broker.port)
        frames = Frames(seed, a_topic(steady.client))
        for number in range(count):
            if number == min(1000, count // 2):  # by then all code is loaded
                report.rss_before = broker.rss()
            kind, frame = frames.next()
            try:
                bad.send(kind, frame)
            except (AssertionError, ProtocolError) as wrong:
                raise AssertionError(f"seed {seed}, frame {number} ({kind}): {frame.hex()}") from wrong
            report.kinds[kind] += 1
            if number % 20 == 0:
                steady.check()
        steady.check()
        bad.close()
        report.rss_after = broker.rss()
        report.outcomes, report.rounds, report.log = bad.outcomes, steady.rounds, broker.log()
        steady.client.close()
    report.seconds = time.monotonic() - started
    return report


def hold_half_open(connections: int, announced: int) -> tuple[int, str]:
    """(how much the broker grows, its log): so many Produce frames announced, hardly a byte of each sent."""
    with BrokerProcess() as broker:
        steady = Steady(broker.port)
        steady.check()
        before = broker.rss()
        held = [Client(broker.port) for _ in range(connections)]
        for client in held:
            client.send_raw(struct.pack(">ihhih", announced, 0, 9, 1, -1))
        for _ in range(10):
            steady.check()
        grown = broker.rss() - before
        for client in held:
            client.close()
        steady.check()
        steady.client.close()
        return grown, broker.log()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    report = run(count, seed)
    sys.stdout.write(f"{report}\n")
    for connections, announced in ((1000, 2 * MIB), (1000, 100 * MIB)):
        grown, log = hold_half_open(connections, announced)
        what = f"{connections} half-open frames of {announced // MIB} MiB"
        sys.stdout.write(f"{what}: RSS +{grown // MIB} MiB; log: {log or 'empty'}\n")


if __name__ == "__main__":
    main()
