"""The view of one run: the log before ``as_of`` and the catalogue, as tables of an in-memory database."""

from datetime import datetime
from pathlib import Path

import duckdb

from warehouse import sql
from warehouse.arrays import Arrays
from warehouse.events import catalog
from warehouse.runs.run import Run


def connect(run: Run) -> duckdb.DuckDBPyConnection:
    """An in-memory database with the tables ``events``, ``items`` and ``users`` as of the run."""
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    sql.set_variables(con, as_of=run.as_of, files=_event_files(run.home, run.batches))
    con.execute(sql.load("run/latest_events"))
    add_catalog(con, run.home)
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
    with connect(run) as con:
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


def _event_files(home: Path, batches: tuple[str, ...]) -> list[str]:
    """The paths of event files."""
    return [str(home / "events" / batch) for batch in batches]
