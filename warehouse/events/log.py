"""The append-only log of ratings: every event once, batch by batch.

``events/NNNNNN-DIGEST.parquet`` is a batch, and that the file is there is its commit: of several files a kill
could leave half a batch. It is written and read in row groups, so that its length takes no memory. Its footer
tells where it came from. Rows that cannot enter lie in ``quarantine/``; those of items that no movies file
names yet return by themselves, in the batch with which their item becomes known.
"""

import errno
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from warehouse import sql
from warehouse.atomic import Staging, sweep
from warehouse.errors import MatineeError
from warehouse.events import catalog, quarantine, shared
from warehouse.events.parquet import ParquetSink
from warehouse.events.ratings import validate
from warehouse.sources.contract import Source
from warehouse.sources.source import resolve

logger = logging.getLogger("matinee")

SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("item_id", pa.int64()),
        ("rating", pa.float32()),
        ("event_at", pa.timestamp("us")),  # UTC
        ("batch", pa.int32()),  # sequence of this file
        ("line", pa.int64()),  # 1-based, in the source file
    ]
)
"""Grain: an event. Key: (user_id, item_id, event_at), over all files."""

MEMORY = "1GB"
"""Memory of the search for repeated events; what goes beyond is spilled to the disk."""


@dataclass(frozen=True)
class Batch:
    """A file of the log."""

    sequence: int
    sha256: str  # of the ratings file
    source: str  # as it was named
    rows: int
    ingested_at: datetime  # UTC
    path: Path


@dataclass(frozen=True)
class IngestReport:
    """The outcome of an ingest. Every row read was either logged or quarantined."""

    source: str
    dataset: str
    status: Literal["new", "known"]  # known: this ratings file is in the log already
    batch: int | None = None  # sequence of the file written, None if there was nothing to write
    rows_read: int = 0
    rows_logged: int = 0
    rows_returned: int = 0  # from the quarantine, read by earlier ingests
    quarantined: dict[str, int] = field(default_factory=dict)  # rows by reason
    users: int = 0  # distinct, in the events of the batch
    items: int = 0
    seconds: float = 0.0


def ingest(home: Path, source: str) -> IngestReport:
    """Append a source to the log of a home folder, which is created where there is none.

    Ingests of one home wait for each other. Killed at any moment, the log is as before or complete; the
    next ingest clears up.

    Raises:
        AnotherDataset: the home holds another data set.
        MatineeError: the source cannot be read or holds no ratings, or the home cannot be written.
    """
    started = time.perf_counter()
    with _plain_errors(home):
        incoming = resolve(source)
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / shared.LOCK):
            report = shared.change(home, lambda: _ingest(home, incoming))
    return replace(report, seconds=time.perf_counter() - started)


def event_files(home: Path, ratings_sha256: str = "") -> list[Path]:
    """The files of the log, oldest batch first; all, or those that may stem from one ratings file."""
    return sorted((home / "events").glob(f"*-{ratings_sha256[:12]}*.parquet"))


def batches(home: Path) -> list[Batch]:
    """The batches of the log as it is now, oldest first."""
    shared.pull(home)
    return [_batch(path) for path in event_files(home)]


def dataset_name(home: Path) -> str | None:
    """Name of the data set that the home holds, None while the log is empty."""
    return catalog.dataset_name(home) if event_files(home) else None


def _ingest(home: Path, incoming: Source) -> IngestReport:
    _clear_up(home)
    report = _append(home, incoming)
    quarantine.settle(home, event_files(home))
    return report


def _append(home: Path, incoming: Source) -> IngestReport:
    digest = incoming.digests.ratings
    is_logged = any(_batch(path).sha256 == digest for path in event_files(home, digest))
    report = IngestReport(incoming.text, incoming.dataset, "known" if is_logged else "new")
    with Staging() as staging:
        items = catalog.stage(home, incoming, not event_files(home), staging)
        returned = quarantine.returning(home, items)
        if not is_logged or returned.height:
            report = _stage_batch(home, incoming, items, returned, report, staging)
        staging.commit()
    return report


def _stage_batch(
    home: Path,
    incoming: Source,
    items: pl.DataFrame,
    returned: pl.DataFrame,
    report: IngestReport,
    staging: Staging,
) -> IngestReport:
    """Write the rows that return, then the source's own unless they are logged; the report, filled in."""
    sequence = _next_sequence(home)
    name = f"{sequence:06d}-{incoming.digests.ratings[:12]}.parquet"
    rejected = quarantine.Writer(staging, home / "quarantine" / name, sequence, incoming.ratings_file)
    path = staging.path(home / "events" / name)  # staged last, so it appears last: the commit
    sink = ParquetSink(path, SCHEMA)
    sink.write(returned.with_columns(batch=sequence))
    rows_read = _copy_rows(incoming, items, sequence, sink, rejected) if report.status == "new" else 0
    facts = _facts(incoming, rows_read, returned.height)
    sink.finish(facts)
    repeated = _drop_repeated(home, path, facts)
    if len(repeated):
        _quarantine_lines(incoming, repeated, items, rejected)
    rejected.finish()
    rows, users, items_rated = _counts(home, path)
    return replace(
        report,
        batch=sequence,
        rows_read=rows_read,
        rows_logged=rows - returned.height,
        rows_returned=returned.height,
        quarantined=dict(rejected.reasons),
        users=users,
        items=items_rated,
    )


def _copy_rows(
    incoming: Source,
    items: pl.DataFrame,
    sequence: int,
    sink: ParquetSink,
    rejected: quarantine.Writer,
) -> int:
    """Each row of the source to the events or to the quarantine; returns how many there are."""
    rows = 0
    for block in incoming.ratings():
        good, bad = validate(block, items)
        sink.write(good.with_columns(batch=sequence))
        rejected.write(bad)
        rows += block.height
        if rows > block.height:  # not the first block: this takes a while
            logger.info("%s: %s rows read", incoming.text, f"{rows:,}")
    if rows == 0:
        raise MatineeError(f"{incoming.text}: no ratings in {incoming.ratings_file}; nothing was ingested")
    return rows


def _facts(incoming: Source, rows_read: int, rows_returned: int) -> dict[str, Any]:
    """The facts of a batch in the footer of its event file."""
    digests = incoming.digests
    return {
        "source": incoming.text,
        "ratings_sha256": digests.ratings,
        "movies_sha256": digests.movies,
        "users_sha256": digests.users,
        "ingested_at": datetime.now(UTC).isoformat(),
        "rows_read": rows_read,
        "rows_returned": rows_returned,
    }


def _drop_repeated(home: Path, staged: Path, facts: dict[str, Any]) -> pl.Series:
    """Take the rows that are logged already out of a staged event file; returns their lines."""
    repeated = _repeated(home, staged)
    if repeated.is_empty():
        return repeated
    lines = []
    with Staging() as staging:
        sink = ParquetSink(staging.path(staged), SCHEMA)
        first = 0
        for part in map(pl.DataFrame, pq.ParquetFile(staged).iter_batches()):
            start, stop = (int(repeated.search_sorted(row)) for row in (first, first + part.height))
            mask = pl.int_range(first, first + part.height, eager=True).is_in(repeated[start:stop].implode())
            lines.append(part["line"].filter(mask))
            sink.write(part.filter(~mask))
            first += part.height
        sink.finish(facts)
        staging.commit()
    return pl.concat(lines)


def _repeated(home: Path, staged: Path) -> pl.Series:
    """Row numbers (0-based) in a staged event file that repeat the log or an earlier row of the file."""
    logged = [str(path) for path in event_files(home)]
    with _database(home) as con:
        con.read_parquet(str(staged), file_row_number=True).create_view("staged")
        (con.read_parquet(logged) if logged else con.from_arrow(SCHEMA.empty_table())).create_view("events")
        found: pl.DataFrame = con.sql(sql.load("log/repeated_events")).pl()
    return found["file_row_number"]


def _counts(home: Path, staged: Path) -> tuple[int, int, int]:
    """Rows, distinct users and distinct items of a staged event file."""
    with _database(home) as con:
        con.read_parquet(str(staged)).create_view("staged")
        ((rows, users, items),) = con.execute(sql.load("log/counts")).fetchall()
    return rows, users, items


def _database(home: Path) -> duckdb.DuckDBPyConnection:
    return sql.bounded(home / ".ingest", memory_limit=MEMORY)


def _quarantine_lines(
    incoming: Source, lines: pl.Series, items: pl.DataFrame, rejected: quarantine.Writer
) -> None:
    """Read the source once more for the text of the lines that are duplicates."""
    for block in incoming.ratings():
        repeated, _ = validate(block.filter(pl.col("line").is_in(lines.implode())), items)
        rejected.write(repeated.with_columns(reason=pl.lit("duplicate")))


def _batch(path: Path) -> Batch:
    metadata = pq.read_metadata(path)
    facts = {key.decode(): value.decode() for key, value in metadata.metadata.items()}
    return Batch(
        _sequence(path),
        facts["ratings_sha256"],
        facts["source"],
        metadata.num_rows,
        datetime.fromisoformat(facts["ingested_at"]),
        path,
    )


def _sequence(path: Path) -> int:
    return int(path.name.partition("-")[0])


def _next_sequence(home: Path) -> int:
    existing = event_files(home)
    return _sequence(existing[-1]) + 1 if existing else 1


def _clear_up(home: Path) -> None:
    """Remove or complete the files of a killed ingest. The caller holds the lock."""
    for folder in ("events", "quarantine", "catalog"):
        sweep(home / folder)
    shutil.rmtree(home / ".ingest", ignore_errors=True)
    committed = {path.name for path in event_files(home)}
    if not committed:
        # The catalogue of a first ingest that never came to its end decides nothing.
        shutil.rmtree(home / "catalog", ignore_errors=True)
    for path in quarantine.files(home):
        if path.name not in committed:
            path.unlink()
    quarantine.settle(home, event_files(home))


@contextmanager
def _plain_errors(home: Path) -> Iterator[None]:
    """Failures of the disk as one line."""
    try:
        yield
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        reason = f"the disk of {home} is full" if full else str(error).splitlines()[0]
        raise MatineeError(f"{reason}; the log is whole, run it again once that is put right") from error
