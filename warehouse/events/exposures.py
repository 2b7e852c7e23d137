"""The append-only log of exposures, ``exposures/``: what was shown to whom (see ``batch_log``).

A batch is what a consumer reported, or the top of a release's lists. Rows that cannot enter lie in
``quarantine/shown-*.parquet``.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import dataframely as dy
import polars as pl
import pyarrow as pa

from warehouse.events import quarantine
from warehouse.events.batch_log import BatchLog, Incoming, facts_of
from warehouse.events.log import IngestReport
from warehouse.events.reports import ReportLog
from warehouse.events.table_file import TIME

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


REPORTS = ReportLog(EXPOSURES, "exposures", REQUIRED, OPTIONAL, Exposure, REASONS)
"""How the log is filled."""


def record(home: Path, source: str) -> IngestReport:
    """Append a report of what was shown: see ``ReportLog.record``.

    Raises:
        MatineeError: the file cannot be read or has no rows, or the home has no films or cannot be written.
    """
    return REPORTS.record(home, source, {"origin": REPORTED})


def record_lists(home: Path, release: str, blocks: Blocks) -> None:
    """Append the lists of a release, unless it is done: blocks of the columns of a report.

    Raises:
        MatineeError: the home cannot be written.
    """
    source = f"release {release}"
    incoming = Incoming(source, release, "lists", blocks, _all_good, is_own=True)
    REPORTS.changed(home, lambda: REPORTS.append(home, _digest(release), incoming, {"origin": PUBLISHED}))


def has_lists(home: Path, release: str) -> bool:
    """True if the log has the lists of a release."""
    return REPORTS.is_logged(home, _digest(release))


def files(home: Path, origin: str) -> list[Path]:
    """The files of the log of one origin, oldest batch first."""
    return [path for path in EXPOSURES.files(home) if facts_of(path)["origin"] == origin]


def _all_good(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return rows, pl.DataFrame(quarantine.SCHEMA.empty_table())


def _digest(release: str) -> str:
    return hashlib.sha256(f"release {release}".encode()).hexdigest()
