"""The append-only log of exposures, ``exposures/``: what was shown to whom (see ``batch_log``).

A batch is what a consumer reported, or the top of a release's lists. Rows that cannot enter lie in
``quarantine/shown-*.parquet``.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import dataframely as dy
import polars as pl
import pyarrow as pa
from filelock import FileLock

from warehouse.atomic import Staging, sweep
from warehouse.errors import MatineeError
from warehouse.events import catalog, log, quarantine, shared
from warehouse.events.batch_log import SPILL, BatchLog, Incoming, Written, facts_of, now, plain_errors
from warehouse.events.log import IngestReport
from warehouse.events.ratings import judged, with_has_item
from warehouse.events.table_file import TIME, TableFile, table_file

SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("item_id", pa.int64()),
        ("shown_at", pa.timestamp("us")),  # UTC
        ("rank", pa.int32()),  # null: unknown, as are the next two
        ("experiment", pa.string()),  # the treatment arm
        ("propensity", pa.float64()),  # the probability with which it was shown
        ("batch", pa.int32()),  # sequence of this file
        ("line", pa.int64()),  # 1-based, in the source file
    ]
)
"""Grain: an exposure. Key: (user_id, item_id, shown_at), over all files."""

EXPOSURES = BatchLog("exposures", SCHEMA, "shown_at", rejected="shown-")

REQUIRED: dict[str, pl.DataType] = {"user_id": pl.Int64(), "item_id": pl.Int64(), "shown_at": TIME}
OPTIONAL: dict[str, pl.DataType] = {
    "rank": pl.Int32(),
    "experiment": pl.String(),
    "propensity": pl.Float64(),
}
"""Columns of a report of exposures."""

Blocks = Callable[[], Iterator[pl.DataFrame]]
"""Rows in order, in blocks of bounded size."""

T = TypeVar("T")

REPORTED, PUBLISHED = "reported", "published"
"""Origins of a batch: a consumer's report, or a release."""


class Exposure(dy.Schema):
    """Grain: a row of a report. Each rule is named for the reason that its failures are given."""

    line = dy.Int64(min=1)
    raw = dy.String()
    user_id = dy.Int64(nullable=True)
    item_id = dy.Int64(nullable=True)
    shown_at = dy.Datetime(nullable=True)
    rank = dy.Int32(nullable=True)
    experiment = dy.String(nullable=True)
    propensity = dy.Float64(nullable=True, allow_inf=True, allow_nan=True)
    is_readable = dy.Bool()
    is_past = dy.Bool()
    has_item = dy.Bool()

    @dy.rule()
    def malformed(cls) -> pl.Expr:  # noqa: N805
        return (
            pl.col("is_readable")
            & pl.col("shown_at").is_not_null()
            & (pl.col("user_id").fill_null(-1) >= 0)
            & (pl.col("item_id").fill_null(-1) >= 0)
        )

    @dy.rule()
    def rank_out_of_range(cls) -> pl.Expr:  # noqa: N805
        return pl.col("rank").fill_null(1) >= 1

    @dy.rule()
    def propensity_out_of_range(cls) -> pl.Expr:  # noqa: N805
        return pl.col("propensity").fill_null(1).is_between(0, 1, closed="right")

    @dy.rule()
    def in_the_future(cls) -> pl.Expr:  # noqa: N805
        return pl.col("is_past")

    @dy.rule()
    def unknown_item(cls) -> pl.Expr:  # noqa: N805
        return pl.col("has_item")


REASONS = ("malformed", "rank_out_of_range", "propensity_out_of_range", "in_the_future", "unknown_item")
"""The reasons by precedence: a row has one."""


def record(home: Path, source: str) -> IngestReport:
    """Append a report of what was shown: a CSV or Parquet file with the columns REQUIRED, perhaps OPTIONAL.

    A file with the bytes of an earlier one changes nothing. Killed at any moment, the log is as before or
    complete.

    Raises:
        MatineeError: the file cannot be read or has no rows, or the home has no films or cannot be written.
    """
    started = time.perf_counter()
    table = table_file(source, "exposures", REQUIRED, OPTIONAL)
    report = _changed(home, lambda: _record(home, source, table))
    return replace(report, seconds=time.perf_counter() - started)


def record_lists(home: Path, release: str, blocks: Blocks) -> None:
    """Append the lists of a release, unless it is done: blocks of the columns of a report.

    Raises:
        MatineeError: the home cannot be written.
    """
    source = f"release {release}"
    incoming = Incoming(source, release, "lists", blocks, _all_good, is_own=True)
    _changed(home, lambda: _append(home, _digest(release), incoming, PUBLISHED))


def has_lists(home: Path, release: str) -> bool:
    """True if the log has the lists of a release."""
    return _is_logged(home, _digest(release))


def files(home: Path, origin: str) -> list[Path]:
    """The files of the log of one origin, oldest batch first."""
    return [path for path in EXPOSURES.files(home) if facts_of(path)["origin"] == origin]


def _changed(home: Path, work: Callable[[], T]) -> T:
    """Do work that changes the log, after whoever is changing any log of the home."""
    with plain_errors(home):
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / shared.LOCK):
            return shared.change(home, work)


def _record(home: Path, source: str, table: TableFile) -> IngestReport:
    dataset = log.dataset_name(home)
    if dataset is None:
        raise MatineeError(f"{source}: nothing can have been shown: no ratings were ingested, and no films")
    moment, items = datetime.now(UTC).replace(tzinfo=None), catalog.read_items(home)
    incoming = Incoming(
        source, table.path.name, "exposures", table.blocks, lambda block: _validate(block, items, moment)
    )
    written = _append(home, table.sha256, incoming, REPORTED)
    if written is None:
        return IngestReport(source, dataset, "known")
    return IngestReport(
        source,
        dataset,
        "new",
        batch=written.sequence,
        rows_read=written.rows_read,
        rows_logged=written.rows,
        quarantined=written.quarantined,
        users=written.users,
        items=written.items,
    )


def _append(home: Path, sha256: str, incoming: Incoming, origin: str) -> Written | None:
    """Append a batch; None if it is logged. The caller holds the lock."""
    _clear_up(home)
    if _is_logged(home, sha256):
        return None

    def facts(rows_read: int) -> dict[str, Any]:
        source = {"origin": origin, "source": incoming.text, "sha256": sha256}
        return source | {"recorded_at": now(), "rows_read": rows_read}

    with Staging() as staging:
        written = EXPOSURES.stage(home, sha256, incoming, facts, staging)
        staging.commit()
    return written


def _validate(rows: pl.DataFrame, items: pl.DataFrame, moment: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The exposures until a moment (UTC), and the other rows; both also as the quarantine has them."""
    is_past = (pl.col("shown_at") <= moment).fill_null(True)
    good, bad = judged(with_has_item(rows.with_columns(is_past=is_past), items), Exposure, REASONS)
    of_quarantine = {"rating": pl.lit(None, pl.Float32), "event_at": pl.col("shown_at")}
    return good.with_columns(**of_quarantine), bad.with_columns(**of_quarantine)


def _all_good(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return rows, pl.DataFrame(quarantine.SCHEMA.empty_table())


def _is_logged(home: Path, sha256: str) -> bool:
    return any(facts_of(path)["sha256"] == sha256 for path in EXPOSURES.files(home, sha256))


def _digest(release: str) -> str:
    return hashlib.sha256(f"release {release}".encode()).hexdigest()


def _clear_up(home: Path) -> None:
    """Remove the files of a killed recording. The caller holds the lock."""
    for folder in (EXPOSURES.folder, "quarantine"):
        sweep(home / folder)
    shutil.rmtree(home / SPILL, ignore_errors=True)
    committed = {path.name for path in EXPOSURES.files(home)}
    for path in (home / "quarantine").glob(f"{EXPOSURES.rejected}*.parquet"):
        if path.name.removeprefix(EXPOSURES.rejected) not in committed:
            path.unlink()
