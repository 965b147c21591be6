"""The files engine: Kafka's segment files for record batches, SQLite for everything else."""

from flymq.storage.files.engine import FilesEngine

__all__ = ["FilesEngine"]
