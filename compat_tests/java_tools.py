"""Apache Kafka's command-line tools, fetched by Maven into `compat_tests/.cache/` on first use."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

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
TRANSACTIONS = "org.apache.kafka.tools.TransactionsCommand"
DUMP_LOG = "org.apache.kafka.tools.DumpLogSegments"
TRANSACTIONS = "org.apache.kafka.tools.TransactionsCommand"
STORAGE = "kafka.tools.StorageTool"
BROKER = "kafka.Kafka"


def class_path() -> str:
    """Of the tools. Downloads them where they are missing, or where the list of them changed."""
    pom = _POM.read_text()
    if not _DONE.exists() or _DONE.read_text() != pom:
        _need("mvn", "maven")
        command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", f"-DoutputDirectory={_LIBS}"]
        subprocess.run(command, check=True, timeout=600)
        _DONE.write_text(pom)
    return f"{_LIBS}/*"


def _need(program: str, package: str) -> None:
    assert shutil.which(program), f"{program} is not there: `apt install {package}`, or run .ci/run, which does"


def command(tool: str, *arguments: str, java_options: Sequence[str] = ()) -> list[str]:
    """The command line of a tool."""
    _need("java", "default-jdk-headless")
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m"]
    options = [*quick, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", *java_options]
    return ["java", *options, "-cp", class_path(), tool, *arguments]


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
