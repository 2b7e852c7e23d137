"""Rows that could not enter the log, each with the reason.

``quarantine/NNNNNN-DIGEST.parquet`` has the name of its batch; a batch without rejected rows has none. In the
quarantine of another log than that of ratings a word comes first.
"""

from collections import Counter
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa

from warehouse.atomic import Staging
from warehouse.events.parquet import ParquetSink

SCHEMA = pa.schema(
    [
        ("batch", pa.int32()),
        ("source_file", pa.string()),
        ("line", pa.int64()),  # 1-based, in the source file
        ("raw", pa.string()),  # the line
        ("reason", pa.string()),
        # The fields that can be parsed, else null.
        ("user_id", pa.int64()),
        ("item_id", pa.int64()),
        ("rating", pa.float32()),
        ("event_at", pa.timestamp("us")),  # UTC
    ]
)
"""Grain: a rejected line. Key: (batch, line)."""

EVENT = ["user_id", "item_id", "event_at"]

WAITING = ("in_the_future", "unknown_item")
"""Reasons that time or a movies file does away with: rows that have no other return by themselves."""


class Writer:
    """The quarantine of one batch, block by block; without rejected rows there is no file in the end."""

    def __init__(self, staging: Staging, path: Path, batch: int, source_file: str) -> None:
        self.reasons: Counter[str] = Counter()
        self._staging = staging
        self._path = path
        self._columns = {"batch": pl.lit(batch), "source_file": pl.lit(source_file)}
        self._sink = ParquetSink(staging.path(path), SCHEMA)

    def write(self, rejected: pl.DataFrame) -> None:
        """Append rows that have the columns from ``line`` on."""
        self._sink.write(rejected.with_columns(**self._columns))
        self.reasons.update(dict(rejected["reason"].value_counts().iter_rows()))

    def finish(self) -> None:
        """Complete the file."""
        self._sink.finish({})
        if self._sink.rows == 0:
            self._staging.discard(self._path)


def files(home: Path) -> list[Path]:
    """The quarantine of each batch of ratings that has one, oldest first."""
    return sorted((home / "quarantine").glob("[0-9]*.parquet"))


def counts(home: Path) -> dict[str, int]:
    """Rows that lie in the quarantine, of ratings and of all reports, by reason, the most frequent first."""
    return reasons(sorted((home / "quarantine").glob("*.parquet")))


def reasons(found: list[Path]) -> dict[str, int]:
    """Rows of some files, by reason, the most frequent first."""
    if not found:
        return {}
    counted = pl.read_parquet(found, columns=["reason"])["reason"].value_counts(sort=True)
    return dict(counted.iter_rows())


def returning(home: Path, items: pl.DataFrame, latest: datetime) -> pl.DataFrame:
    """Rows whose time (UTC, until ``latest``) has come and whose item is in the catalogue by now, as events.

    Columns: user_id, item_id, rating, event_at, line.

    Of several with the same (user, item, time) the first that was read counts. The others become
    duplicates when the quarantine is settled.
    """
    return (
        _waiting(home)
        .filter(pl.col("event_at") <= latest)
        .join(items.lazy().select("item_id"), on="item_id", how="semi")
        .sort("batch", "line")
        .unique(EVENT, keep="first", maintain_order=True)
        .select("user_id", "item_id", "rating", "event_at", "line")
        .collect()
    )


def settle(home: Path, events: list[Path]) -> None:
    """Take out the rows that have returned into the log; their repetitions become duplicates.

    May be cut off anywhere and done again. The newest files are rewritten first: as long as the row that
    returned, the oldest of its event, is still here, it tells the repetitions apart from itself.
    """
    if not events or not files(home):
        return
    # After a clock that jumped back an event may wait that is in an earlier batch: that one has not returned.
    has_returned = pl.struct(EVENT).is_first_distinct() & (pl.col("logged_in") > pl.col("batch"))
    logged = (
        _waiting(home)
        .join(pl.scan_parquet(events).select(*EVENT, logged_in="batch"), on=EVENT)
        .sort("batch", "line")
        .select("batch", "line", returned=has_returned)
        .collect()
    )
    affected = set(logged["batch"].unique())
    for path in reversed(files(home)):
        if int(path.name.partition("-")[0]) in affected:
            _settle_file(path, logged)


def _settle_file(path: Path, logged: pl.DataFrame) -> None:
    """``logged`` has batch, line and whether that row is the one that returned."""
    rows = (
        pl.read_parquet(path)
        .join(logged, on=["batch", "line"], how="left", maintain_order="left")
        .filter(pl.col("returned").is_null() | ~pl.col("returned"))
        .with_columns(
            reason=pl.when(pl.col("returned").is_null()).then("reason").otherwise(pl.lit("duplicate"))
        )
    )
    if rows.is_empty():
        path.unlink()
        return
    with Staging() as staging:
        sink = ParquetSink(staging.path(path), SCHEMA)
        sink.write(rows)
        sink.finish({})
        staging.commit()


def _waiting(home: Path) -> pl.LazyFrame:
    """Rows that lack nothing but the name of their item, or that their time comes."""
    if not (found := files(home)):
        return pl.LazyFrame(SCHEMA.empty_table())
    return pl.scan_parquet(found).filter(pl.col("reason").is_in(WAITING))
