"""Apache Kafka's command-line tools, fetched by Maven into `compat_tests/.cache/` on first use."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

_HERE = Path(__file__).parent
_POM = _HERE / "java" / "pom.xml"
_LIBS = _HERE / ".cache" / "libs"
_DONE = _HERE / ".cache" / "libs.pom.xml"

TOPICS = "org.apache.kafka.tools.TopicCommand"
CONSOLE_PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
CONSOLE_CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
CONSUMER_GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
CONFIGS = "kafka.admin.ConfigCommand"
GET_OFFSETS = "org.apache.kafka.tools.GetOffsetShell"
API_VERSIONS = "org.apache.kafka.tools.BrokerApiVersionsCommand"
LOG_DIRS = "org.apache.kafka.tools.LogDirsCommand"
FEATURES = "org.apache.kafka.tools.FeatureCommand"
QUORUM = "org.apache.kafka.tools.MetadataQuorumCommand"
LEADER_ELECTION = "org.apache.kafka.tools.LeaderElectionCommand"
REASSIGN = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
DELETE_RECORDS = "org.apache.kafka.tools.DeleteRecordsCommand"
DUMP_LOG = "org.apache.kafka.tools.DumpLogSegments"
TRANSACTIONS = "org.apache.kafka.tools.TransactionsCommand"
STORAGE = "kafka.tools.StorageTool"
BROKER = "kafka.Kafka"

# Starts quickly, stays small, logs warnings.
JAVA = [
    "java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
]  # fmt: skip


def class_path() -> str:
    """Of the tools. Downloads them where they are missing, or where the list of them changed."""
    pom = _POM.read_text()
    if not _DONE.exists() or _DONE.read_text() != pom:
        need("mvn", "maven")
        command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", f"-DoutputDirectory={_LIBS}"]
        subprocess.run(command, check=True, timeout=600)
        _DONE.write_text(pom)
    return f"{_LIBS}/*"


def need(program: str, package: str) -> None:
    assert shutil.which(program), f"{program} is not there: `apt install {package}`, or run .ci/run, which does"


def command(tool: str, *arguments: str, java_options: Sequence[str] = ()) -> list[str]:
    """The command line of a tool."""
    need("java", "default-jdk-headless")
    return [*JAVA, *java_options, "-cp", class_path(), tool, *arguments]


def run(tool: str, *arguments: str, stdin: bytes = b"", timeout_s: float = 120) -> str:
    """What the tool says on stdout. AssertionError where it ends badly or logs an error."""
    return run_with_stderr(tool, *arguments, stdin=stdin, timeout_s=timeout_s)[0]


def run_with_stderr(tool: str, *arguments: str, stdin: bytes = b"", timeout_s: float = 120) -> tuple[str, str]:
    """As `run`; with what it says on stderr."""
    done = subprocess.run(command(tool, *arguments), input=stdin, capture_output=True, timeout=timeout_s)
    errors = done.stderr.decode()
    output = done.stdout.decode()
    assert done.returncode == 0, f"{tool} ended with {done.returncode}:\n{output[-2000:]}\n{errors[-4000:]}"
    assert "ERROR" not in errors, errors
    assert "Exception" not in errors, errors
    return output, errors


class Session:
    """Runs tools one after another in one JVM, whose start costs seconds; from `with` to its end."""

    def __enter__(self) -> Self:
        start = command(str(_HERE / "java" / "Tools.java"))
        self._process = subprocess.Popen(
            start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)

    def run(self, tool: str, *arguments: str, fails: bool = False) -> str:
        """What the tool says. AssertionError where it ends badly, or with `fails` where it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        words = [base64.b64encode(word.encode()).decode() for word in (tool, *arguments)]
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"{tool} has ended the JVM"
        code, _, written = answer.partition(" ")
        output = base64.b64decode(written).decode()
        assert (code != "0") == fails, f"{tool} {' '.join(arguments)} ended with {code}:\n{output[-4000:]}"
        return output
