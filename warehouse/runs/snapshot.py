"""The view of one run: the log before ``as_of`` and the catalogue.

The log is sorted once, by DuckDB in bounded memory, and written as columns of dense indices that every later
reader maps: no stage holds a copy of its own.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

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
    users, items = _catalog(run)
    files.write_table(run, "users", users)
    files.write_table(run, "items", items)
    _write_events(run, run.file(LOG), users, items)
    return read(run)


def read(run: Run) -> Snapshot:
    """The snapshot that ``write`` left; of a run whose log was removed since, it is encoded again."""
    if files.has_table(run, "users"):
        users, items = files.read_table(run, "users"), files.read_table(run, "items")
    else:
        users, items = _catalog(run)
    if run.file(f"{LOG}/event.at.npy").exists():
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
        con.register(f"{side}_ids", _numbered(frame, side))
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
    seen = [int(name.partition("-")[0]) for name in parent.batches]
    with _database(run, parent.file(f".{run.id}")) as con:  # it has no folder of its own yet
        sql.set_variables(con, seen_before=parent.as_of, seen_batches=seen)
        return int(con.execute(sql.load("run/new_events")).fetchall()[0][0])


def span(home: Path, batches: tuple[str, ...]) -> tuple[datetime, datetime] | None:
    """The first and the last event of the log (UTC), or None if it has none."""
    if not batches:
        return None
    with duckdb.connect() as con:
        sql.set_variables(con, files=_event_files(home, batches))
        first, last = con.execute(sql.load("run/span")).fetchall()[0]
    return None if first is None else (first, last)


def _database(run: Run, spill: Path) -> duckdb.DuckDBPyConnection:
    """An empty database of bounded memory that knows the event files and the moment of a run."""
    con = sql.bounded(spill)
    sql.set_variables(con, as_of=run.as_of, files=_event_files(run.home, run.batches))
    return con


def _catalog(run: Run) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The users and items of the run, sorted by id."""
    with _database(run, run.file(".duckdb")) as con:
        con.execute(sql.load("run/logged_users"))
        add_catalog(con, run.home)
        return con.table("users").pl(), con.table("items").pl()


def _numbered(frame: pl.DataFrame, side: str) -> pl.DataFrame:
    """The ids of a table with the dense index of each."""
    return frame.select(f"{side}_id").with_row_index(f"{side}_idx").cast({f"{side}_idx": pl.Int32})


def _write_events(run: Run, folder: Path, users: pl.DataFrame, items: pl.DataFrame) -> None:
    with _database(run, run.file(".duckdb")) as con, Staging() as staging:
        con.register("users", _numbered(users, "user"))
        con.register("items", _numbered(items, "item"))
        sorted_log = con.sql(sql.load("run/latest_events").rstrip(";\n")).to_arrow_reader(BLOCK)
        sink = files.ColumnSink(staging, folder, {f"event.{name}": dtype for name, dtype in EVENT.items()})
        for block in _whole_users(sorted_log):
            latest = block.unique(["user_idx", "item_idx"], keep="last", maintain_order=True)
            sink.write({f"event.{name}": latest[name].to_numpy() for name in EVENT})
        sink.finish()
        staging.commit()


def _whole_users(blocks: Iterable[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
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
