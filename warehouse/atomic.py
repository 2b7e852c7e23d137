"""Files that appear whole or not at all.

Everything is first written under a hidden temporary name in its own folder, where no ``*.parquet`` pattern
sees it; one ``commit`` then makes all of it durable and moves it into place.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 122_880
"""Rows; what DuckDB hands to one thread."""


class Staging:
    """A set of files written together. Whatever is not committed is removed on leaving the context."""

    def __init__(self) -> None:
        self._files: dict[Path, Path] = {}  # temporary: final, in the order of their commit
        self._mark = uuid4().hex[:8]  # tells its files from those of another writer at the same time

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for temporary in self._files:
            temporary.unlink(missing_ok=True)

    def path(self, final: Path) -> Path:
        """Where to write what will be ``final``."""
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._temporary(final)
        self._files[temporary] = final
        return temporary

    def discard(self, final: Path) -> None:
        """Take back a staged file."""
        temporary = self._temporary(final)
        temporary.unlink(missing_ok=True)
        del self._files[temporary]

    def commit(self) -> None:
        """Move every file into place, in the order they were staged.

        All bytes are on the disk before the first file moves, so a full disk is met while nothing shows.
        """
        for temporary in self._files:
            _fsync(temporary)
        for temporary, final in self._files.items():
            os.replace(temporary, final)
        for folder in {final.parent for final in self._files.values()}:
            _fsync(folder)
        self._files.clear()

    def _temporary(self, final: Path) -> Path:
        return final.with_name(f".{final.name}.{self._mark}.tmp")


def sweep(folder: Path) -> None:
    """Delete the temporary files of a writer that was killed. The caller holds the writers' lock."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink()


class ParquetSink:
    """A Parquet file that grows chunk by chunk, with facts that are known only at its end.

    Closed without ``finish`` the file has no footer: nothing reads it by mistake.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.rows = 0
        self._schema = schema
        # A Python file, because its errors keep their errno.
        self._file = path.open("wb")
        self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")

    def write(self, frame: pl.DataFrame) -> None:
        """Append the schema's columns of the frame."""
        if frame.height:
            table = frame.select(self._schema.names).to_arrow().cast(self._schema)
            self._writer.write_table(table, row_group_size=ROW_GROUP)
            self.rows += frame.height

    def finish(self, facts: dict[str, Any]) -> None:
        """Write the footer, with the facts as key-value metadata."""
        self._writer.add_key_value_metadata({key: str(value) for key, value in facts.items()})
        self._writer.close()
        self._file.close()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
