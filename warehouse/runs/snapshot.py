"""What one run sees: the log before ``as_of``, the catalogue, and the tables made from them."""

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from warehouse import sql
from warehouse.errors import MatineeError
from warehouse.runs import statistics
from warehouse.runs.run import Run
from warehouse.runs.statistics import Declarations

Arrays = dict[str, NDArray[Any]]

NAMED_USERS = {
    "user_id": pl.Int64,
    "gender": pl.String,
    "age": pl.Int32,
    "occupation": pl.Int32,
    "zip": pl.String,
}


def connect(run: Run) -> duckdb.DuckDBPyConnection:
    """An in-memory database with the tables ``events``, ``items`` and ``users`` as of the run."""
    con = _connect_as_of(run)
    con.register("events", _latest_events(run))
    con.register("catalog_items", pl.read_parquet(run.home / "catalog" / "items.parquet"))
    con.register("catalog_users", catalog_users(run.home))
    con.execute(sql.load("run/views"))
    return con


@lru_cache(maxsize=1)  # every step of a run reads the same log
def _latest_events(run: Run) -> pl.DataFrame:
    files = [str(run.home / "events" / batch) for batch in run.batches]
    with _connect_as_of(run) as con:
        con.execute("set variable files = $files", {"files": files})
        events: pl.DataFrame = con.sql(sql.load("run/latest_events")).pl()
    return events


def _connect_as_of(run: Run) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    con.execute("set variable as_of = $as_of::timestamp", {"as_of": run.as_of})
    return con


def catalog_users(home: Path) -> pl.DataFrame:
    """The users file's rows; none if the source has no such file."""
    file = home / "catalog" / "users.parquet"
    return pl.read_parquet(file) if file.exists() else pl.DataFrame(schema=NAMED_USERS)


def span(home: Path, batches: tuple[str, ...]) -> tuple[datetime, datetime] | None:
    """The first and the last event of the log (UTC), or None if it has none."""
    files = [str(home / "events" / batch) for batch in batches]
    if not files:
        return None
    with duckdb.connect() as con:
        query = "select min(event_at), max(event_at) from read_parquet($files)"
        first, last = con.execute(query, {"files": files}).fetchall()[0]
    return None if first is None else (first, last)


def write_tables(run: Run, features: dict[str, Declarations]) -> dict[str, int]:
    """Write users, items and their features into the run; returns the rows by table.

    ``features`` is the content of ``features.toml``: of the declarations under ``user`` and ``item`` those
    with a type are published.
    Raises MatineeError if no event is before ``as_of``.
    """
    with connect(run) as con:
        n_events = _count(con, "events")
        if n_events == 0:
            raise MatineeError(f"no rating is before {run.as_of}: choose a later --as-of")
        # Threads would add up decayed counts in any order: the last bits would differ from run to run.
        con.execute("set threads = 1")
        con.execute(sql.load("run/top_genres"))
        con.execute(sql.load("run/user_features").format(features=_columns(features["user"])))
        con.execute(sql.load("run/item_features").format(features=_columns(features["item"])))
        rows = {"events": n_events}
        for table in ("users", "items", "user_features", "item_features"):
            rows[table] = _count(con, table)
            _copy(con, f"from {table}", run.file(f"{table}.parquet"))
    return rows


def _columns(declarations: Declarations) -> str:
    return ",\n    ".join(
        f"({statistics.expression(d)})::{d['type']} as {d['name']}" for d in declarations if "type" in d
    )


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(con.execute(f"select count(*) from {table}").fetchall()[0][0])


def _copy(con: duckdb.DuckDBPyConnection, query: str, file: Path) -> None:
    con.execute(f"copy ({query}) to '{_quoted(file)}' (format parquet, compression zstd)")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def read_events(con: duckdb.DuckDBPyConnection) -> Arrays:
    """(E,) each, sorted by user, time and order of the file.

    user_id, item_id, rating, at (epoch seconds), batch (sequence of the event file).
    """
    columns = con.execute(sql.load("run/events")).fetchnumpy()
    return {name: np.asarray(column) for name, column in columns.items()}


def read_table(run: Run, name: str) -> pl.DataFrame:
    """One of the run's Parquet tables."""
    return pl.read_parquet(run.file(f"{name}.parquet"))


def write_table(run: Run, name: str, frame: pl.DataFrame) -> int:
    """Write one of the run's Parquet tables; returns its rows."""
    frame.write_parquet(_fresh(run.file(f"{name}.parquet")), compression="zstd")
    return frame.height


def read_arrays(run: Run, name: str) -> Arrays:
    """Named arrays of the run. Raises MatineeError if it has none of that name."""
    file = run.folder / f"{name}.npz"
    if not file.exists():
        raise MatineeError(f"release {run.id} has no {name}: run `matinee nightly`, then try again")
    return load_arrays(file)


def load_arrays(file: Path) -> Arrays:
    """The named arrays of a file that ``np.savez`` wrote."""
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def has_arrays(run: Run, name: str) -> bool:
    """Whether the run has named arrays of that name."""
    return (run.folder / f"{name}.npz").exists()


def write_arrays(run: Run, name: str, arrays: Arrays) -> None:
    """Write named arrays, such as the state of a model, uncompressed."""
    np.savez(_fresh(run.file(f"{name}.npz")), **arrays)  # type: ignore[arg-type]


def _fresh(path: Path) -> Path:
    # A file shared with another run must be replaced, never written into.
    path.unlink(missing_ok=True)
    return path
