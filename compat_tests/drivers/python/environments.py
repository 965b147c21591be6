"""Virtual environments of old releases, below `compat_tests/.cache`, made on first use, anew when pins change."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence

from compat_tests.drivers.building import alone


def python_with(name: str, pins: Sequence[str]) -> str:
    """The interpreter of an environment with exactly these wheels, by this Python."""
    version = f"py{sys.version_info.major}.{sys.version_info.minor}"
    with alone(f"venvs/{name.replace(' ', '-')}-{version}") as folder:
        python = folder / "bin" / "python"
        done = folder / "pins.txt"
        if not (done.exists() and done.read_text().splitlines() == [*pins]):
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(folder))
            _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                 "--no-deps", "--only-binary", ":all:", *pins)  # fmt: skip
            done.write_text("\n".join(pins) + "\n")
    return str(python)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
