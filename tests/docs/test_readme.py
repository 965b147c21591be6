"""The README's snippets do what they say, pasted one after the other."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flymq import EmbeddedBroker

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
(SHELL,) = re.findall(r"^```bash\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON, TEST = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
TIMEOUT_S = 60.0


@pytest.fixture
def port() -> int:
    """A free one: whoever runs the tests may have a broker at 9092."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number: int = taken.getsockname()[1]
    return number


def test_shell(port: int, tmp_path: Path) -> None:
    """The block as it is; its broker and its commands are told of another port by the environment."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "FLYMQ_LISTENERS": f"PLAINTEXT://localhost:{port}",
        "FLYMQ_BOOTSTRAP_SERVERS": f"localhost:{port}",
    }
    done = subprocess.run(
        ["bash", "-c", f"set -e\ntrap 'kill $!; wait' EXIT\n{SHELL}"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("two coffees") == done.stdout.count("one tea") == 2, done.stdout
    assert list(tmp_path.iterdir()) == []


def test_python(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with EmbeddedBroker() as broker:
        look_up = socket.getaddrinfo

        def redirected(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            return look_up(host, broker.port if (host, port) == ("localhost", 9092) else port, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", redirected)
        exec(compile(PYTHON, "README.md", "exec"), {})
        assert capsys.readouterr().out == "b'ada' three coffees\n"
        assert broker.committed("kitchen") == {("orders", 0): 1}


def test_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_orders.py").write_text(TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
