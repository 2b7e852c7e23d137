"""The exposures that a run sees: those before its ``as_of`` in the files that there were when it began."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import DTypeLike, NDArray

from warehouse import sql
from warehouse.arrays import Arrays
from warehouse.runs import files
from warehouse.runs.reported import users_new_to
from warehouse.runs.run import Run
from warehouse.runs.snapshot import BLOCK, numbered, whole_users

EXPOSURE: dict[str, DTypeLike] = {
    "user_idx": np.int32,
    "item_idx": np.int32,
    "at": np.int64,
    "rank": np.int32,
}
"""Columns of a log of exposures, and their types."""


def read(run: Run, target_users: NDArray[np.int32], days: float, ranks: int | None) -> Iterator[pl.DataFrame]:
    """The items that target users were shown in the last days: distinct user_idx, item_idx, sorted.

    No user is in two blocks. ``ranks`` are the first of a list that count; those of unknown rank always do.
    """
    if not run.exposures:
        return
    users = numbered(files.read_table(run, "users"), "user")
    with sql.bounded(run.file(".duckdb-shown")) as con:
        since = run.as_of - timedelta(days=days)
        sql.set_variables(con, files=_paths(run), since=since, as_of=run.as_of, ranks=ranks)
        con.register("users", users[target_users])
        con.register("items", numbered(files.read_table(run, "items"), "item"))
        yield from whole_users(con.sql(sql.load("run/exposures").rstrip(";\n")).to_arrow_reader(BLOCK))


def since(run: Run, at: int, ranks: int | None) -> Arrays:
    """Every exposure from a moment (epoch seconds) on: user_idx, item_idx, at, rank (0: unknown), (N,) each.

    Sorted by user and time. ``ranks`` as in ``read``.
    """
    if not run.exposures:
        return {name: np.empty(0, dtype=dtype) for name, dtype in EXPOSURE.items()}
    with sql.bounded(run.file(".duckdb-shown")) as con:
        con.register("users", numbered(files.read_table(run, "users"), "user"))
        con.register("items", numbered(files.read_table(run, "items"), "item"))
        moment = datetime.fromtimestamp(at, UTC).replace(tzinfo=None)
        sql.set_variables(con, files=_paths(run), since=moment, as_of=run.as_of, ranks=ranks)
        frame = con.sql(sql.load("run/exposure_log").rstrip(";\n")).pl()
    return {name: frame[name].to_numpy().astype(dtype) for name, dtype in EXPOSURE.items()}


def new_to(run: Run, parent: Run) -> NDArray[np.int64]:
    """Ids of the users who were shown something, reported since an earlier run or later than it."""
    return users_new_to(run, parent, "newly_shown", _paths, lambda of: of.as_of)


def _paths(run: Run) -> list[str]:
    return [str(run.home / "exposures" / name) for name in run.exposures]
