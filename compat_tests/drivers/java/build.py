"""Class paths of Kafka's Java libraries, and what is compiled against them: in `compat_tests/.cache`, made when needed.

A folder's name tells what it was made of, so it is made anew where that changes; it gets its name when it is whole.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from compat_tests import java_tools

_HERE = Path(__file__).parent
_POM = _HERE / "pom.xml"
_CACHE = _HERE.parent.parent / ".cache" / "java"


def command(
    folder: str,
    main: str,
    artifact: str,
    version: str,
    *,
    compiled_with: str | None = None,
    options: Sequence[str] = (),
) -> list[str]:
    """What runs the class `main` of the sources in `folder` with a release, compiled against that or a newer one."""
    classes = _classes(folder, artifact, compiled_with or version)
    path = f"{classes}:{_libraries(artifact, version)}/*"
    return [*java_tools.JAVA, *options, "-cp", path, main]


@functools.cache
def _libraries(artifact: str, version: str) -> Path:
    def fetch(into: Path) -> None:
        java_tools.need("mvn", "maven")
        chosen = [f"-Dkafka.artifact={artifact}", f"-Dkafka.version={version}", f"-DoutputDirectory={into}"]
        subprocess.run(
            ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", *chosen], check=True, timeout=600
        )

    return _made(f"{artifact}-{version}", [_POM], fetch)


@functools.cache
def _classes(folder: str, artifact: str, version: str) -> Path:
    sources = sorted((_HERE / folder).glob("*.java"))

    def compile_(into: Path) -> None:
        java_tools.need("javac", "default-jdk-headless")
        path = f"{_libraries(artifact, version)}/*"
        quiet = ["-nowarn", "-XDsuppressNotes", "-Xlint:-removal"]
        subprocess.run(["javac", *quiet, "-cp", path, "-d", str(into), *map(str, sources)], check=True, timeout=300)

    return _made(f"{folder}-classes", [_POM, *sources], compile_)


def _made(name: str, made_of: list[Path], make: Callable[[Path], None]) -> Path:
    """Two that make the same at once do no harm: the first one's stays."""
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in made_of)).hexdigest()[:12]
    done = _CACHE / f"{name}-{digest}"
    if not done.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=_CACHE))
        try:
            make(made)
            made.rename(done)
        except OSError:
            if not done.exists():
                raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return done
