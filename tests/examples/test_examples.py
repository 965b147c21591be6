"""Every example runs, and does what it says."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flymq import EmbeddedBroker, FlyMQClient

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
TIMEOUT_S = 60.0


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_here() -> None:
    tested = {"word_count.py", "fastapi_app.py", "copy_topic.py", "order_service"}
    assert {path.name for path in EXAMPLES.iterdir() if not path.name.startswith((".", "_"))} == tested


def test_word_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text"
    text.write_text("".join(f"the {word}\n\nthe end\n" for word in ("quick", "brown", "fox") * 20))
    with EmbeddedBroker() as broker:
        load("word_count").main(str(text), broker.bootstrap_servers)
    out = capsys.readouterr().out
    assert "120 lines written" in out
    assert "240 words" in out
    assert "   120 the\n    60 end\n" in out


@contextlib.contextmanager
def uvicorn(app: str, broker: EmbeddedBroker) -> Iterator[str]:
    """Served as its page says, on a free port: where."""
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--app-dir", EXAMPLES, "--port", "0", app],
        env=os.environ | {"FLYMQ_BOOTSTRAP_SERVERS": broker.bootstrap_servers},
        stderr=subprocess.PIPE, text=True,
    )
    assert process.stderr is not None
    try:
        said = ""
        while not (found := re.search(r"running on (http://\S+)", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT_S)


def post(url: str, body: object) -> tuple[int, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_fastapi_app() -> None:
    with EmbeddedBroker() as broker, uvicorn("fastapi_app:app", broker) as url:
        answers = [post(f"{url}/orders", {"customer": "ada", "drink": drink}) for drink in ("tea", "coffee")]
        assert post(f"{url}/orders", {"drink": "tea"})[0] == 422
        assert [status for status, _ in answers] == [201, 201]
        assert [body["offset"] for _, body in answers] == [0, 1]
        assert [message.json()["drink"] for message in broker.records("orders")] == ["tea", "coffee"]
        broker.stop()
        status, body = post(f"{url}/orders", {"customer": "ada", "drink": "tea"})
        assert status == 503
        assert "orders" in body["detail"]


def test_copy_topic() -> None:
    with EmbeddedBroker(topics={"orders": 3}) as source, EmbeddedBroker() as target:
        with FlyMQClient(source.bootstrap_servers) as client:
            client.produce_many("orders", [(f"k{n % 5}", f"v{n}") for n in range(500)]).raise_for_errors()
            client.produce("orders", None, key=b"\xff", headers={"a": b"\x00"}, timestamp=1_700_000_000_000)
        done = subprocess.run(
            [sys.executable, EXAMPLES / "copy_topic.py", "orders", source.bootstrap_servers, target.bootstrap_servers],
            capture_output=True, text=True, timeout=TIMEOUT_S,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("501 messages of orders copied")
        originals, copies = source.records("orders"), target.records("orders")
        for message in [*originals, *copies]:
            message.leader_epoch = 0  # each broker's own
        assert len(originals) == 501
        assert copies == originals


def test_order_service() -> None:
    """A suite that a user would write: run as they would, with nothing but the installed plugin."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", EXAMPLES / "order_service",
         "-p", "no:cacheprovider", EXAMPLES / "order_service"],
        capture_output=True, text=True, timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
