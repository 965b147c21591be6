"""The files engine under the contract, at both durabilities."""

from __future__ import annotations

from pathlib import Path

from flymq.storage.api import Engine
from flymq.storage.files import FilesEngine

from .batches import Runner
from .contract import StorageContract


class TestFilesOs(StorageContract):
    def make_engine(self, run: Runner, path: Path) -> Engine:
        return FilesEngine(str(path), run.env, durability="os")


class TestFilesFsync(StorageContract):
    def make_engine(self, run: Runner, path: Path) -> Engine:
        return FilesEngine(str(path), run.env, durability="fsync")


class TestFilesColdAndCrowded(StorageContract):
    """Nothing is ever in the page cache, and two files may be open."""

    def make_engine(self, run: Runner, path: Path) -> Engine:
        run.env.files.read_cached = lambda fd, buffer, position: -1  # type: ignore[method-assign]
        return FilesEngine(str(path), run.env, durability="fsync", open_files_max=2)
