"""Measurements of a new release, and of the one that it would take the place of, for the gate."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from warehouse import sql
from warehouse.events import catalog, log, quarantine
from warehouse.releases import journal
from warehouse.runs import snapshot
from warehouse.runs.run import Run

Counts = dict[str, int]
"""Rows by reason of rejection."""

DUPLICATE = "duplicate"
"""Reason of rejection of rows that do no harm: the log has them."""


@dataclass(frozen=True)
class Arrived:
    """The rows that came since the release before; all of them if there is none."""

    events: int = 0  # logged
    of_a_user: int = 0  # those of the most active user
    of_a_film: int = 0  # those of the most rated film
    rows_read: int = 0  # of the sources
    rejected: dict[str, int] = field(default_factory=dict)  # rows by reason
    resent: float = 1.0  # rows of a source that sends everything, over those of its last delivery; at most 1

    @property
    def duplicates(self) -> int:
        """Rows that the log had already."""
        return self.rejected.get(DUPLICATE, 0)

    @property
    def broken(self) -> int:
        """Rows that were rejected for any other reason."""
        return sum(self.rejected.values()) - self.duplicates


@dataclass(frozen=True)
class Histograms:
    """How the new events, and those of a window before them, are distributed over the same bins."""

    before: NDArray[np.int64]  # (B,) events
    after: NDArray[np.int64]  # (B,)
    users_before: int
    users_after: int


def arrived(run: Run, before: Run | None) -> Arrived:
    """Counts of what is new in a run since the release before."""
    with _events(run, before) as con:
        ((events, of_a_user, of_a_film),) = con.execute(sql.load("gate/arrived")).fetchall()
    earlier = () if before is None else before.batches
    names = [name for name in run.batches if name not in earlier]
    rejected = {name: _rejected(run.home, name) for name in names}
    rows_read = sum(log.delivery(run.home, name)[1] for name in names)
    total = Counter[str]()
    for counts in rejected.values():
        total.update(counts)
    return Arrived(
        events,
        of_a_user,
        of_a_film,
        rows_read,
        dict(total),
        _resent(run.home, earlier, names, rejected),
    )


def _resent(home: Path, earlier: Sequence[str], names: Sequence[str], rejected: dict[str, Counts]) -> float:
    """The least of the rows of a source's newest delivery over those of its last one among earlier batches.

    Of sources that send everything each time: the log had more than half of the rows of both. They never send
    far less, unless some of it is missing.
    """
    newest = _deliveries(home, names)
    whole = {
        source: rows for source, (name, rows) in newest.items() if 2 * rejected[name].get(DUPLICATE, 0) > rows
    }
    if not whole:
        return 1.0  # most runs: no footer of an earlier batch is read
    last = _deliveries(home, earlier)
    ratios = [1.0]
    for source, rows in whole.items():
        name, rows_before = last.get(source, ("", 0))
        if 2 * _rejected(home, name).get(DUPLICATE, 0) > rows_before:
            ratios.append(rows / rows_before)
    return min(ratios)


def _deliveries(home: Path, names: Sequence[str]) -> dict[str, tuple[str, int]]:
    """The last batch that has rows of each source, and how many; others are of rows that returned."""
    found = ((name, *log.delivery(home, name)) for name in names)
    return {source: (name, rows) for name, source, rows in found if rows}


def histograms(run: Run, before: Run, window_days: float) -> dict[str, Histograms]:
    """Distributions of rating, popularity, genre and activity of the new events, and of those before them."""
    with _events(run, before) as con:
        sql.set_variables(con, window_from=before.as_of - timedelta(days=window_days))
        con.register("items", catalog.read_items(run.home))
        found: pl.DataFrame = con.sql(sql.load("gate/distributions").rstrip(";\n")).pl()
    return {
        name: Histograms(
            rows["before"].to_numpy(),
            rows["after"].to_numpy(),
            rows["users_before"][0],
            rows["users_after"][0],
        )
        for (name,), rows in found.partition_by("distribution", as_dict=True).items()
    }


def events_a_day(run: Run) -> tuple[NDArray[np.float64], float | None]:
    """(N,) events a day between successive full releases, oldest first; those of a run since the last one.

    Releases within half a day of each other tell nothing of a day.
    """
    full = [row for row in journal.publications(run.home) if row["kind"] == "full"]
    points = [(datetime.fromisoformat(row["as_of"]), row["n_events"]) for row in full]
    points.append((run.as_of, run.manifest()["n_events"]))
    rates = [
        (n - n_before) / ((moment - moment_before) / timedelta(days=1))
        if moment - moment_before >= timedelta(days=0.5) and n >= n_before
        else None
        for (moment_before, n_before), (moment, n) in pairwise(points)
    ]
    now = rates.pop() if rates else None
    return np.array([rate for rate in rates if rate is not None], dtype=np.float64), now


def lists(file: Path, first: int, computed_by: str | None = None) -> pl.DataFrame:
    """user_id, rank, item_id, is_filler, n_ratings of the first ranks; all, or those a release computed."""
    return _rows(file, "gate/lists", first=first, computed_by=computed_by)


def metrics(file: Path) -> pl.DataFrame:
    """stage, model, protocol, k, value (NDCG), error, n_users of the newest full release of a file.

    Of one by a version that had no such tables there are no rows.
    """
    try:
        return _rows(file, "gate/metrics")
    except duckdb.CatalogException:
        schema = {"stage": pl.String, "model": pl.String, "protocol": pl.String, "k": pl.Int32}
        return pl.DataFrame(schema=schema | {"value": pl.Float64, "error": pl.Float64, "n_users": pl.Int64})


def _rows(file: Path, query: str, **variables: object) -> pl.DataFrame:
    with duckdb.connect(str(file), read_only=True) as con:
        sql.set_variables(con, **variables)
        found: pl.DataFrame = con.sql(sql.load(query).rstrip(";\n")).pl()
    return found


def _events(run: Run, before: Run | None) -> duckdb.DuckDBPyConnection:
    """A database that knows the event files, and which of the events are new."""
    con = sql.bounded(run.file(".duckdb"))
    sql.set_variables(
        con,
        files=[str(run.home / "events" / name) for name in run.batches],
        as_of=run.as_of,
        seen_before=datetime.min if before is None else before.as_of,
        seen_batches=[] if before is None else snapshot.seen_batches(before),
    )
    return con


def _rejected(home: Path, batch: str) -> Counts:
    """Rows of a batch in the quarantine, by reason."""
    return quarantine.reasons([file for file in quarantine.files(home) if file.name == batch])
