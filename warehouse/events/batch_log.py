"""Append-only logs of a home: every row once, batch by batch.

``FOLDER/NNNNNN-DIGEST.parquet`` is a batch, and that the file is there is its commit: of several files a kill
could leave half a batch. It is written and read in row groups, so that its length takes no memory. Its footer
tells where it came from. Rows that cannot enter lie in ``quarantine/``.
"""

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import sql
from warehouse.atomic import Staging
from warehouse.errors import MatineeError
from warehouse.events import quarantine
from warehouse.events.parquet import ParquetSink

logger = logging.getLogger("matinee")

MEMORY = "1GB"
"""Memory of the search for repeated rows; what goes beyond is spilled to the disk."""

SPILL = ".ingest"
"""Folder of a home that it is spilled into."""

Facts = dict[str, str]
"""Facts of a batch in the footer of its file."""


@dataclass(frozen=True)
class Incoming:
    """Rows on their way into a log, which can be read more than once."""

    text: str
    """The source as it was named."""
    file: str
    """The file that line numbers refer to."""
    what: str
    """The rows, for people: ratings."""
    blocks: Callable[[], Iterator[pl.DataFrame]]
    """The rows, in order, in blocks of bounded size, with ``line`` and ``raw``."""
    validate: Callable[[pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame]]
    """The rows of a block that may enter, and the others with their ``reason``: both with all columns of the
    log and of ``quarantine.SCHEMA`` but those that tell of the batch."""
    promised_rows: int | None = None
    """How many there must be, if anybody says so."""
    is_own: bool = False
    """True for rows of our own making: of those none, and some that are logged already, are no mistake."""


@dataclass(frozen=True)
class Written:
    """A staged batch."""

    sequence: int
    rows_read: int
    rows: int
    users: int  # distinct
    items: int  # distinct
    quarantined: dict[str, int]  # rows by reason


@dataclass(frozen=True)
class BatchLog:
    """A log: its folder in a home, its schema, and the column of the time that completes its key.

    The key is (user_id, item_id, time), over all files.
    """

    folder: str
    schema: pa.Schema
    time: str
    rejected: str = ""
    """Beginning of the names of its files in the quarantine."""

    def files(self, home: Path, sha256: str = "") -> list[Path]:
        """The files, oldest batch first; all, or those that may stem from one source file."""
        return sorted((home / self.folder).glob(f"*-{sha256[:12]}*.parquet"))

    def next_sequence(self, home: Path) -> int:
        """The sequence number of the next batch."""
        existing = self.files(home)
        return sequence_of(existing[-1]) + 1 if existing else 1

    def stage(
        self,
        home: Path,
        sha256: str,
        incoming: Incoming,
        facts: Callable[[int], dict[str, Any]],
        staging: Staging,
        returned: pl.DataFrame | None = None,
        is_logged: bool = False,
    ) -> Written:
        """Stage a batch: rows that return from the quarantine, then those of a source that is not known.

        ``facts`` gives those of the footer, by the number of rows read.

        Raises:
            MatineeError: the source has no rows, or another number than it promises.
        """
        sequence = self.next_sequence(home)
        name = f"{sequence:06d}-{sha256[:12]}.parquet"
        of_rejected = home / "quarantine" / f"{self.rejected}{name}"
        rejected = quarantine.Writer(staging, of_rejected, sequence, incoming.file)
        path = staging.path(home / self.folder / name)  # staged last, so it appears last: the commit
        sink = ParquetSink(path, self.schema)
        if returned is not None:
            sink.write(returned.with_columns(batch=sequence))
        rows_read = 0 if is_logged else _copy_rows(incoming, sequence, sink, rejected)
        footer = facts(rows_read)
        sink.finish(footer)
        with sql.bounded(home / SPILL, memory_limit=MEMORY) as con:
            repeated = self._drop_repeated(con, home, path, footer)
            counts = _counts(con, path)
        if len(repeated) and not incoming.is_own:
            _quarantine_lines(incoming, repeated, rejected)
        rejected.finish()
        return Written(sequence, rows_read, *counts, dict(rejected.reasons))

    def _drop_repeated(
        self, con: duckdb.DuckDBPyConnection, home: Path, staged: Path, facts: dict[str, Any]
    ) -> pl.Series:
        """Take the rows that are logged already out of a staged file; returns their lines."""
        repeated = self._repeated(con, home, staged)
        if repeated.is_empty():
            return repeated
        lines = []
        with Staging() as staging:
            sink = ParquetSink(staging.path(staged), self.schema)
            first = 0
            for part in map(pl.DataFrame, pq.ParquetFile(staged).iter_batches()):
                start, stop = (int(repeated.search_sorted(row)) for row in (first, first + part.height))
                number = pl.int_range(first, first + part.height, eager=True)
                mask = number.is_in(repeated[start:stop].implode())
                lines.append(part["line"].filter(mask))
                sink.write(part.filter(~mask))
                first += part.height
            sink.finish(facts)
            staging.commit()
        return pl.concat(lines)

    def _repeated(self, con: duckdb.DuckDBPyConnection, home: Path, staged: Path) -> pl.Series:
        """Row numbers (0-based) in a staged file that repeat the log or an earlier row of the file."""
        logged = [str(path) for path in self.files(home)]
        empty = self.schema.empty_table()
        con.read_parquet(str(staged), file_row_number=True).create_view("staged")
        (con.read_parquet(logged) if logged else con.from_arrow(empty)).create_view("logged_rows")
        found: pl.DataFrame = con.sql(sql.load("log/repeated_rows").format(time=self.time)).pl()
        return found["file_row_number"]


def sequence_of(path: Path) -> int:
    """The sequence number of a batch, from the name of its file."""
    return int(path.name.partition("-")[0])


def facts_of(path: Path) -> Facts:
    """The facts in the footer of a file."""
    return {key.decode(): value.decode() for key, value in (pq.read_metadata(path).metadata or {}).items()}


def now() -> str:
    """The wall clock, for a footer."""
    return datetime.now(UTC).isoformat()


@contextmanager
def plain_errors(home: Path) -> Iterator[None]:
    """Failures of the disk as one line."""
    try:
        yield
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        reason = f"the disk of {home} is full" if full else str(error).splitlines()[0]
        raise MatineeError(f"{reason}; the log is whole, run it again once that is put right") from error


def _copy_rows(incoming: Incoming, sequence: int, sink: ParquetSink, rejected: quarantine.Writer) -> int:
    """Each row of the source to the log or to the quarantine; returns how many there are."""
    rows = 0
    for block in incoming.blocks():
        good, bad = incoming.validate(block)
        sink.write(good.with_columns(batch=sequence))
        rejected.write(bad)
        rows += block.height
        if rows > block.height:  # not the first block: this takes a while
            logger.info("%s: %s rows read", incoming.text, f"{rows:,}")
    if rows == 0 and not incoming.is_own:
        raise MatineeError(f"{incoming.text}: no {incoming.what} in {incoming.file}; nothing was ingested")
    check_promise(incoming.text, incoming.file, rows, incoming.promised_rows)
    return rows


def check_promise(source: str, file: str, rows: int, promised: int | None) -> None:
    """Hold the rows of a ratings file against the number that it must have.

    Raises:
        MatineeError: it is another.
    """
    if promised not in (None, rows):
        raise MatineeError(
            f"{source}: {rows:,} ratings in {file}, where {file}.rows promises {promised:,}; nothing was "
            "ingested: fetch both again"
        )


def _quarantine_lines(incoming: Incoming, lines: pl.Series, rejected: quarantine.Writer) -> None:
    """Read the source once more for the text of the lines that are duplicates."""
    for block in incoming.blocks():
        repeated, _ = incoming.validate(block.filter(pl.col("line").is_in(lines.implode())))
        rejected.write(repeated.with_columns(reason=pl.lit("duplicate")))


def _counts(con: duckdb.DuckDBPyConnection, staged: Path) -> tuple[int, int, int]:
    """Rows, distinct users and distinct items of a staged file."""
    con.read_parquet(str(staged)).create_view("staged")  # anew: the file may have been rewritten
    ((rows, users, items),) = con.execute(sql.load("log/counts")).fetchall()
    return rows, users, items
