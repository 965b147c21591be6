"""Clients in JavaScript; npm installs them into `compat_tests/.cache/js/` on first use, and when they change."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from compat_tests.drivers.building import alone
from compat_tests.drivers.catalog import Client

_HERE = Path(__file__).parent
_LISTS = ("package.json", "package-lock.json")


def _kafkajs() -> list[str]:
    with alone("js") as installed:
        _install(installed)
    return ["env", f"NODE_PATH={installed / 'node_modules'}", "node", str(_HERE / "driver.js")]


def _install(into: Path) -> None:
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    assert not missing, f"no {' and no '.join(missing)} here: `apt install nodejs npm`, or run .ci/run, which does"
    wanted = "".join((_HERE / name).read_text() for name in _LISTS)
    done = into / "installed"
    if done.exists() and done.read_text() == wanted:
        return
    into.mkdir(exist_ok=True)
    for name in _LISTS:
        shutil.copy(_HERE / name, into)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=into, check=True, timeout=300)
    done.write_text(wanted)


CLIENTS = [
    Client("kafkajs 2.2.4", "JavaScript", _kafkajs, {
        "headers": "an object by name: the order of different names is lost",
        "lz4": "packages need a compiler, or write frames of linked blocks, which Kafka refuses",
        "set_config": "only AlterConfigs",
        "delete_group_offsets": "not in its admin client",
        "position": "its consumer does not tell",
        "reset none": "it always begins somewhere",
        "static membership": "no group.instance.id",
        "range": "its assigner is round robin",
        "cooperative-sticky": "its assigner is round robin",
        "KIP-848": "classic groups only",
    }),
]  # fmt: skip
