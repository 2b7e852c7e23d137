"""The append-only log of block lists, ``block_list/``: films that users asked not to see (see ``batch_log``).

A row blocks a film for a user, or allows it again: of each pair the newest row counts. Rows that cannot enter
lie in ``quarantine/blocked-*.parquet``.
"""

from pathlib import Path

import dataframely as dy
import polars as pl
import pyarrow as pa

from warehouse.events.batch_log import BatchLog
from warehouse.events.log import IngestReport
from warehouse.events.reports import ReportLog
from warehouse.events.table_file import TIME

SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("item_id", pa.int64()),
        ("requested_at", pa.timestamp("us")),  # UTC
        ("action", pa.string()),  # block or allow; null: block
        ("batch", pa.int32()),  # sequence of this file
        ("line", pa.int64()),  # 1-based, in the source file
    ]
)
"""Grain: a request. Key: (user_id, item_id, requested_at), over all files."""

BLOCK, ALLOW = "block", "allow"
"""The actions."""

BLOCK_LIST = BatchLog("block_list", SCHEMA, "requested_at", rejected="blocked-")

REQUIRED: dict[str, pl.DataType] = {"user_id": pl.Int64(), "item_id": pl.Int64(), "requested_at": TIME}
OPTIONAL: dict[str, pl.DataType] = {"action": pl.String()}
"""Columns of a report of requests."""


class Request(dy.Schema):
    """Grain: a row of a report. Each rule is named for the reason that its failures are given."""

    line = dy.Int64(min=1)
    raw = dy.String()
    user_id = dy.Int64(nullable=True)
    item_id = dy.Int64(nullable=True)
    requested_at = dy.Datetime(nullable=True)
    action = dy.String(nullable=True)
    is_readable = dy.Bool()
    is_past = dy.Bool()
    has_item = dy.Bool()

    @dy.rule()
    def malformed(cls) -> pl.Expr:  # noqa: N805
        return (
            pl.col("is_readable")
            & pl.col("requested_at").is_not_null()
            & (pl.col("user_id").fill_null(-1) >= 0)
            & (pl.col("item_id").fill_null(-1) >= 0)
        )

    @dy.rule()
    def unknown_action(cls) -> pl.Expr:  # noqa: N805
        return pl.col("action").fill_null(BLOCK).is_in([BLOCK, ALLOW])

    @dy.rule()
    def in_the_future(cls) -> pl.Expr:  # noqa: N805
        return pl.col("is_past")

    @dy.rule()
    def unknown_item(cls) -> pl.Expr:  # noqa: N805
        return pl.col("has_item")


REASONS = ("malformed", "unknown_action", "in_the_future", "unknown_item")
"""The reasons by precedence: a row has one."""

REPORTS = ReportLog(BLOCK_LIST, "requests", REQUIRED, OPTIONAL, Request, REASONS)
"""How the log is filled."""


def record(home: Path, source: str) -> IngestReport:
    """Append a report of what users asked not to see, or to see again: see ``ReportLog.record``.

    Raises:
        MatineeError: the file cannot be read or has no rows, or the home has no films or cannot be written.
    """
    return REPORTS.record(home, source, {})


def files(home: Path) -> list[Path]:
    """The files of the log, oldest batch first."""
    return BLOCK_LIST.files(home)
