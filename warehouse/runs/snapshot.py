"""The view of one run: the log before ``as_of`` and the catalogue.

The log is sorted once, by DuckDB in bounded memory, and written as columns of dense indices that every later
reader maps: no stage holds a copy of its own. An incremental run copies the columns of its parent but for the
users with new events, whose rows are merged with these: the same columns as if all were sorted again.
"""

import math
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from warehouse import sql
from warehouse.arrays import Arrays
from warehouse.atomic import Staging
from warehouse.events import catalog
from warehouse.runs import files
from warehouse.runs.run import Run

LOG = "log"
"""Columns of a run that hold its log."""

EVENT = {
    "user_idx": np.int32,
    "item_idx": np.int32,
    "rating": np.float32,
    "at": np.int64,  # epoch seconds
    "batch": np.int32,  # sequence of the event file
}
"""The columns of an event: 24 bytes."""

BLOCK = 250_000
"""Events that are in memory at a time while the log is written."""


@dataclass(frozen=True)
class Snapshot:
    """The events, users and items that a run sees."""

    events: Arrays
    """The columns of EVENT, (E,) each, mapped, sorted by user, time and order of the file; of several ratings
    of a film by a user the last."""
    users: pl.DataFrame
    """user_id, gender, age, occupation, zip, by id: row user_idx."""
    items: pl.DataFrame
    """item_id, title, year, genres, by id: row item_idx."""


def write(run: Run) -> Snapshot:
    """Write the run's tables ``users`` and ``items`` and the columns ``event.NAME`` of its log."""
    parent = _encoded_parent(run)
    delta = None if parent is None else _delta(run, parent)
    users, items = _catalog(run) if delta is None else _catalog_of(run, delta)
    files.write_table(run, "users", users)
    files.write_table(run, "items", items)
    if delta is None or not delta.is_within(users, items):
        _write_events(run, run.file(LOG), users, items)
    else:
        columns = delta.merged(users, items)
        files.write_columns(run, LOG, {f"event.{name}": columns[name] for name in EVENT})
    return read(run)


def read(run: Run) -> Snapshot:
    """The snapshot that ``write`` left; of a run whose log was removed since, it is encoded again."""
    if files.has_table(run, "users"):
        users, items = files.read_table(run, "users"), files.read_table(run, "items")
    else:
        users, items = _catalog(run)
    if has_log(run):
        return Snapshot(_mapped(run.file(LOG)), users, items)
    again = run.file(f".{LOG}-{uuid4().hex[:8]}")
    try:
        _write_events(run, again, users, items)
        return Snapshot(_mapped(again), users, items)
    finally:
        shutil.rmtree(again)  # who has mapped a file keeps it


def connect(run: Run) -> duckdb.DuckDBPyConnection:
    """A database of bounded memory with a run's ``events`` (a view), ``items`` and ``users``."""
    snapshot = read(run)
    con = _database(run, run.file(".duckdb"))
    con.register("log", pa.table(snapshot.events))  # without a copy
    for side, frame in (("user", snapshot.users), ("item", snapshot.items)):
        con.register(f"{side}_frame", frame)
        con.execute(f"create temp table {side}s as from {side}_frame")
        con.register(f"{side}_ids", numbered(frame, side))
    con.execute(sql.load("run/event_ids"))
    return con


def add_catalog(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    """Add the tables ``items`` and ``users`` to a database that has ``events``."""
    con.register("catalog_items", catalog.read_items(home))
    con.register("catalog_users", catalog.read_users(home))
    con.execute(sql.load("run/catalog"))


def read_events(con: duckdb.DuckDBPyConnection) -> Arrays:
    """The events of a database, (E,) each, sorted by user, time and order of the file.

    user_id, item_id, rating, at (epoch seconds), batch (sequence of the event file).
    """
    return con.execute(sql.load("run/events")).fetchnumpy()


def n_new_events(run: Run, parent: Run) -> int:
    """Number of events new to a run after its parent: later ones, and those of later batches."""
    if has_log(parent):
        return _delta(run, parent).n_new()
    seen = seen_batches(parent)
    with _database(run, parent.file(f".{run.id}")) as con:  # it has no folder of its own yet
        sql.set_variables(con, seen_before=parent.as_of, seen_batches=seen)
        return int(con.execute(sql.load("run/new_events")).fetchall()[0][0])


def new_rows(events: Arrays, parent: Run) -> NDArray[np.int64]:
    """The rows of a log that an earlier run did not see: later ones, and those of later batches."""
    is_later = events["at"] >= seen_before(parent)
    return np.flatnonzero(is_later | ~np.isin(events["batch"], seen_batches(parent)))


def has_log(run: Run) -> bool:
    """True if the columns of a run's log are here, and what their indices stand for."""
    tables = all(files.has_table(run, name) for name in ("users", "items"))
    return tables and run.file(f"{LOG}/event.at.npy").exists()


def seen_before(run: Run) -> int:
    """The moment of a run in epoch seconds: events are at whole ones."""
    return math.ceil(run.as_of.replace(tzinfo=UTC).timestamp())


def seen_batches(run: Run) -> list[int]:
    """Sequence numbers of the event files that a run reads."""
    return [int(name.partition("-")[0]) for name in run.batches]


def span(home: Path, batches: tuple[str, ...]) -> tuple[datetime, datetime] | None:
    """The first and the last event of the log (UTC), or None if it has none."""
    if not batches:
        return None
    with duckdb.connect() as con:
        sql.set_variables(con, files=_event_files(home, batches))
        first, last = con.execute(sql.load("run/span")).fetchall()[0]
    return None if first is None else (first, last)


def is_backdated(run: Run) -> bool:
    """True if the log had later events when the run began than those that it sees."""
    found = span(run.home, run.batches)
    return found is not None and found[1] >= run.as_of


def _database(run: Run, spill: Path) -> duckdb.DuckDBPyConnection:
    """An empty database of bounded memory that knows the event files and the moment of a run."""
    con = sql.bounded(spill)
    sql.set_variables(con, as_of=run.as_of, files=_event_files(run.home, run.batches))
    return con


@dataclass(frozen=True)
class Delta:
    """The log of an earlier run, and the events that came since."""

    before: Snapshot
    since: pl.DataFrame
    """user_id, item_id, rating, at, batch of the events that the earlier run did not see; of several ratings
    of a film by a user the last. At equal times they come after what the earlier run saw: they are of later
    batches, or else later themselves."""

    @cached_property
    def indptr(self) -> NDArray[np.int64]:
        """(U + 1,) the rows of each user in the earlier log."""
        user = self.before.events["user_idx"]
        return np.searchsorted(user, np.arange(self.before.users.height + 1, dtype=user.dtype))

    @property
    def logged_users(self) -> pl.DataFrame:
        """user_id of whoever has events."""
        earlier = self.before.users.select("user_id").filter(pl.Series(np.diff(self.indptr) > 0))
        return pl.concat([earlier, self.since.select("user_id")]).unique()

    def is_within(self, users: pl.DataFrame, items: pl.DataFrame) -> bool:
        """True if a catalogue has everything that the earlier one had, and that has events since."""
        sides = (("user_id", self.before.users, users), ("item_id", self.before.items, items))
        return all(
            np.isin(frame[key].to_numpy(), now[key].to_numpy()).all()
            for key, then, now in sides
            for frame in (then, self.since)
        )

    def n_new(self) -> int:
        """Number of new events that count: the earlier log may have a later rating."""
        return int(self._refreshed()["is_new"].sum())

    def merged(self, users: pl.DataFrame, items: pl.DataFrame) -> Arrays:
        """The columns of EVENT by the indices of this catalogue, which is within the earlier one."""
        index = {"user": users["user_id"].to_numpy(), "item": items["item_id"].to_numpy()}
        again = self._refreshed()
        again = again.filter(pl.col("is_new").any().over("user_id"))
        merged = {f"{side}_idx": np.searchsorted(ids, again[f"{side}_id"]) for side, ids in index.items()}
        merged |= {name: again[name].to_numpy() for name in ("rating", "at", "batch")}
        before, then = self.before.events, self.before.users["user_id"].to_numpy()
        stays = ~np.isin(then, again["user_id"].unique())  # (U,) of the earlier run
        lengths = np.diff(self.indptr)
        n_rows = np.bincount(merged["user_idx"], minlength=len(index["user"]))
        is_merged = n_rows > 0
        n_rows[np.searchsorted(index["user"], then[stays])] += lengths[stays]
        from_before, to_merged = np.repeat(stays, lengths), np.repeat(is_merged, n_rows)
        columns = {}
        for name, dtype in EVENT.items():
            old = before[name]
            if name in ("user_idx", "item_idx"):
                side = name.removesuffix("_idx")
                position = np.searchsorted(index[side], getattr(self.before, f"{side}s")[f"{side}_id"])
                old = old if (position == np.arange(len(position))).all() else position.astype(dtype)[old]
            column = np.empty(len(to_merged), dtype=dtype)
            column[~to_merged] = old[from_before]
            column[to_merged] = merged[name]
            columns[name] = column
        return columns

    def _refreshed(self) -> pl.DataFrame:
        """The log of the users of the new events, of both, in order; ``is_new`` tells which is which."""
        users, items = self.before.users["user_id"].to_numpy(), self.before.items["item_id"].to_numpy()
        present = np.flatnonzero(np.isin(users, self.since["user_id"].unique()))
        start, length = self.indptr[present], np.diff(self.indptr)[present]
        rows = np.arange(length.sum()) + np.repeat(start - np.cumsum(length) + length, length)
        events = {name: column[rows] for name, column in self.before.events.items()}
        old = pl.DataFrame(
            {
                "user_id": users[events["user_idx"]],
                "item_id": items[events["item_idx"]],
                **{name: events[name] for name in ("rating", "at", "batch")},
                "is_new": np.zeros(len(rows), dtype=np.bool_),
            }
        )
        both = pl.concat([old, self.since.with_columns(is_new=True)])
        ordered = both.sort("user_id", "at", maintain_order=True)  # what is new last
        return ordered.unique(["user_id", "item_id"], keep="last", maintain_order=True)


def _encoded_parent(run: Run) -> Run | None:
    """The run whose log an incremental run goes on from; None if there is none, or without its columns."""
    if run.kind == "full" or run.parent_id is None:
        return None
    parent = run.parent()
    return parent if has_log(parent) and set(parent.batches) <= set(run.batches) else None


def _delta(run: Run, parent: Run) -> Delta:
    later = tuple(batch for batch in run.batches if batch not in parent.batches)
    parts = [_events_since(run, parent.batches, parent.as_of), _events_since(run, later, datetime.min)]
    since = pl.concat([part for part in parts if part is not None])
    since = since.sort("user_id", "at", "batch", "line", "item_id")
    since = since.unique(["user_id", "item_id"], keep="last", maintain_order=True).drop("line")
    return Delta(read(parent), since)


def _events_since(run: Run, batches: tuple[str, ...], since: datetime) -> pl.DataFrame | None:
    """The events of some batches from a moment on: row groups that are all earlier are not read."""
    if not batches:
        return None
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        sql.set_variables(con, files=_event_files(run.home, batches), since=since, as_of=run.as_of)
        found: pl.DataFrame = con.sql(sql.load("run/since_events")).pl()
    return found


def _catalog(run: Run) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The users and items of the run, sorted by id."""
    with _database(run, run.file(".duckdb")) as con:
        con.execute(sql.load("run/logged_users"))
        add_catalog(con, run.home)
        return con.table("users").pl(), con.table("items").pl()


def _catalog_of(run: Run, delta: Delta) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The same without a look at the whole log."""
    with duckdb.connect() as con:
        con.register("events", delta.logged_users)
        add_catalog(con, run.home)
        return con.table("users").pl(), con.table("items").pl()


def numbered(frame: pl.DataFrame, side: str) -> pl.DataFrame:
    """The ids of a table with the dense index of each."""
    return frame.select(f"{side}_id").with_row_index(f"{side}_idx").cast({f"{side}_idx": pl.Int32})


def _write_events(run: Run, folder: Path, users: pl.DataFrame, items: pl.DataFrame) -> None:
    with _database(run, run.file(".duckdb")) as con, Staging() as staging:
        con.register("users", numbered(users, "user"))
        con.register("items", numbered(items, "item"))
        sorted_log = con.sql(sql.load("run/latest_events").rstrip(";\n")).to_arrow_reader(BLOCK)
        sink = files.ColumnSink(staging, folder, {f"event.{name}": dtype for name, dtype in EVENT.items()})
        for block in whole_users(sorted_log):
            latest = block.unique(["user_idx", "item_idx"], keep="last", maintain_order=True)
            sink.write({f"event.{name}": latest[name].to_numpy() for name in EVENT})
        sink.finish()
        staging.commit()


def whole_users(blocks: Iterable[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
    """Blocks of events sorted by user, cut again so that nobody's are in two of them."""
    rest: list[pl.DataFrame] = []  # the last user's
    for batch in blocks:
        block = pl.concat([*rest, pl.DataFrame(batch)], rechunk=True)
        last = block["user_idx"].search_sorted(block["user_idx"][-1])
        yield block[:last]
        rest = [block[last:]]
    yield from rest


def _mapped(folder: Path) -> Arrays:
    columns = files.map_columns(folder)
    return {name: columns[f"event.{name}"] for name in EVENT}


def _event_files(home: Path, batches: tuple[str, ...]) -> list[str]:
    """The paths of event files."""
    return [str(home / "events" / batch) for batch in batches]
