"""The append-only log of ratings, ``events/``: see ``batch_log``.

Rows that cannot enter lie in ``quarantine/``. Two kinds return by themselves: those of items that no movies
file names yet, in the batch with which their item becomes known, and those of a time that had not come, once
it has.
"""

import hashlib
import logging
import shutil
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from warehouse.atomic import Staging, sweep
from warehouse.clock import TOLERANCE
from warehouse.events import behaviour, catalog, quarantine, shared, soundness
from warehouse.events.batch_log import (
    SPILL,
    BatchLog,
    Incoming,
    check_promise,
    facts_of,
    now,
    plain_errors,
    sequence_of,
)
from warehouse.events.ratings import validate
from warehouse.sources.contract import Digests, Source
from warehouse.sources.source import resolve, with_films

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

EVENTS = BatchLog("events", SCHEMA, "event_at")

QUARANTINE = "quarantine"
"""Source of a batch of rows that returned without one."""


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
    """The outcome of an ingest. Every row read was logged or quarantined, or is an impression."""

    source: str
    dataset: str
    status: Literal["new", "known"]  # known: this ratings file is in the log already
    batch: int | None = None  # sequence of the file written, None if there was nothing to write
    rows_read: int = 0
    rows_logged: int = 0
    impressions: int = 0  # shown and passed over: in the log of behaviour alone
    rows_returned: int = 0  # from the quarantine, read by earlier ingests
    quarantined: dict[str, int] = field(default_factory=dict)  # rows by reason
    users: int = 0  # distinct, in the events of the batch
    items: int = 0
    seconds: float = 0.0


def ingest(
    home: Path, source: str, tolerance: float = TOLERANCE, films_of_ratings: bool = False
) -> IngestReport:
    """Append a source to the log of a home folder, which is created where there is none.

    Ratings more than ``tolerance`` seconds ahead of the clock wait in the quarantine, as do those of films
    that no movies file has; with ``films_of_ratings`` a source without one brings its films itself.
    Ingests of one home wait for each other. Killed at any moment, the log is as before or complete; the next
    ingest clears up.

    Raises:
        AnotherDataset: the home holds another data set.
        MatineeError: the source cannot be read, holds no ratings or not those that it promises, or the home
            cannot be written.
    """
    started = time.perf_counter()
    with plain_errors(home):
        incoming = with_films(resolve(source)) if films_of_ratings else resolve(source)
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / shared.LOCK):
            report = shared.change(home, lambda: _ingest(home, incoming, tolerance))
    return replace(report, seconds=time.perf_counter() - started)


def take_back(home: Path, tolerance: float = TOLERANCE) -> int:
    """Append the rows of the quarantine whose time has come since, as a batch; returns how many.

    Raises:
        MatineeError: the home cannot be written.
    """
    with plain_errors(home):
        shared.pull(home)
        soundness.check(home)
        if _due(home, tolerance).is_empty():
            return 0
        with FileLock(home / shared.LOCK):
            return shared.change(home, lambda: _take_back(home, tolerance))


def event_files(home: Path, ratings_sha256: str = "") -> list[Path]:
    """The files of the log, oldest batch first; all, or those that may stem from one ratings file."""
    return EVENTS.files(home, ratings_sha256)


def batches(home: Path) -> list[Batch]:
    """The batches of the log as it is now, oldest first.

    Raises:
        Damaged: a file of the log is not what was written.
    """
    shared.pull(home)
    soundness.check(home)
    return [_batch(path) for path in event_files(home)]


def delivery(home: Path, name: str) -> tuple[str, int]:
    """The path or word that named a batch's source, and the rows it had, by the name of the batch's file."""
    facts = facts_of(home / "events" / name)
    return str(Path(facts.get("source", ""))), int(facts.get("rows_read", 0))


def dataset_name(home: Path) -> str | None:
    """Name of the data set that the home holds, None while the log is empty."""
    return catalog.dataset_name(home) if event_files(home) else None


def _latest(tolerance: float) -> datetime:
    """The latest time (UTC, naive) of an event that may enter the log now."""
    return datetime.fromisoformat(now()).replace(tzinfo=None) + timedelta(seconds=tolerance)


def _due(home: Path, tolerance: float) -> pl.DataFrame:
    return quarantine.returning(home, catalog.read_items(home), _latest(tolerance))


def _take_back(home: Path, tolerance: float) -> int:
    _clear_up(home)
    returned = _due(home, tolerance)
    if returned.is_empty():  # somebody else was first
        return 0
    digest = hashlib.sha256(f"{QUARANTINE} {now()}".encode()).hexdigest()
    rows = Incoming(QUARANTINE, QUARANTINE, "ratings", lambda: iter(()), lambda block: (block, block))

    def facts(_: int) -> dict[str, Any]:
        return _facts(QUARANTINE, Digests(digest), 0, returned.height)

    with Staging() as staging:
        EVENTS.stage(home, digest, rows, facts, staging, returned, is_logged=True)
        staging.commit()
    quarantine.settle(home, event_files(home))
    return returned.height


def _ingest(home: Path, incoming: Source, tolerance: float) -> IngestReport:
    soundness.check(home)
    _clear_up(home)
    report = _append(home, incoming, _latest(tolerance))
    quarantine.settle(home, event_files(home))
    return report


def _append(home: Path, incoming: Source, latest: datetime) -> IngestReport:
    digest = incoming.digests.ratings
    logged = [path for path in event_files(home, digest) if _batch(path).sha256 == digest]
    is_logged = bool(logged)
    if logged:  # perhaps yesterday's file with today's promise
        check_promise(
            incoming.text, incoming.ratings_file, delivery(home, logged[0].name)[1], incoming.promised_rows
        )
    report = IngestReport(incoming.text, incoming.dataset, "known" if is_logged else "new")
    with Staging() as staging:
        items = catalog.stage(home, incoming, not event_files(home), staging)
        if items.is_empty():
            logger.warning(
                "%s: no film is known, so no rating can enter the log: put a movies file (movies.csv with "
                "movieId,title,genres; titles may be empty) beside %s and ingest it again",
                incoming.text,
                incoming.ratings_file,
            )
        returned = quarantine.returning(home, items, latest)
        if incoming.has_behaviour and not behaviour.BEHAVIOUR.files(home, digest):  # new, or lost since
            # Before the ratings, whose file is the commit.
            _stage_behaviour(home, incoming, items, latest, staging)
        if not is_logged or returned.height:
            report = _stage_batch(home, incoming, items, latest, returned, report, staging)
        staging.commit()
    return report


def _stage_batch(
    home: Path,
    incoming: Source,
    items: pl.DataFrame,
    latest: datetime,
    returned: pl.DataFrame,
    report: IngestReport,
    staging: Staging,
) -> IngestReport:
    """Write the rows that return, then the source's own unless they are logged; the report, filled in."""

    def validated(block: pl.DataFrame) -> behaviour.Judged:
        return behaviour.plays(block, validate(block, items, latest))

    promised = incoming.promised_rows
    rows = Incoming(incoming.text, incoming.ratings_file, "ratings", incoming.ratings, validated, promised)
    is_logged = report.status == "known"
    facts = partial(_facts_of, incoming, returned.height)
    written = EVENTS.stage(home, incoming.digests.ratings, rows, facts, staging, returned, is_logged)
    rows_logged = written.rows - returned.height
    others = written.rows_read - rows_logged - sum(written.quarantined.values())
    return replace(
        report,
        batch=written.sequence,
        rows_read=written.rows_read,
        rows_logged=rows_logged,
        impressions=others if incoming.has_behaviour and not is_logged else 0,
        rows_returned=returned.height,
        quarantined=written.quarantined,
        users=written.users,
        items=written.items,
    )


def _stage_behaviour(
    home: Path, incoming: Source, items: pl.DataFrame, latest: datetime, staging: Staging
) -> None:
    """Write what the rows of a source tell beside ratings."""

    def validated(block: pl.DataFrame) -> behaviour.Judged:
        return behaviour.showings(block, validate(block, items, latest))

    rows = Incoming(incoming.text, incoming.ratings_file, "ratings", incoming.ratings, validated, is_own=True)
    behaviour.BEHAVIOUR.stage(home, incoming.digests.ratings, rows, partial(_facts_of, incoming, 0), staging)


def _facts_of(incoming: Source, rows_returned: int, rows_read: int) -> dict[str, Any]:
    """The facts of a batch of a source."""
    own = {
        "dataset": incoming.dataset,
        "layout": incoming.layout,
        behaviour.FACT: incoming.has_behaviour,
    }
    return own | _facts(incoming.text, incoming.digests, rows_read, rows_returned)


def _facts(source: str, digests: Digests, rows_read: int, rows_returned: int) -> dict[str, Any]:
    """The facts of a batch in the footer of its event file."""
    return {
        "source": source,
        "ratings_sha256": digests.ratings,
        "movies_sha256": digests.movies,
        "users_sha256": digests.users,
        "ingested_at": now(),
        "rows_read": rows_read,
        "rows_returned": rows_returned,
    }


def _batch(path: Path) -> Batch:
    facts = facts_of(path)
    return Batch(
        sequence_of(path),
        facts["ratings_sha256"],
        facts["source"],
        pq.read_metadata(path).num_rows,
        datetime.fromisoformat(facts["ingested_at"]),
        path,
    )


def _clear_up(home: Path) -> None:
    """Remove or complete the files of a killed ingest. The caller holds the lock."""
    for folder in ("events", "behaviour", "quarantine", "catalog"):
        sweep(home / folder)
    shutil.rmtree(home / SPILL, ignore_errors=True)
    committed = {path.name for path in event_files(home)}
    behaviour.clear_up(home, tuple(committed))
    if not committed:
        # The catalogue of a first ingest that never came to its end decides nothing.
        shutil.rmtree(home / "catalog", ignore_errors=True)
    for path in quarantine.files(home):
        if path.name not in committed:
            path.unlink()
    quarantine.settle(home, event_files(home))
