"""The exposures that a run sees: those before its ``as_of`` in the files that there were when it began."""

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from warehouse import sql
from warehouse.runs import files
from warehouse.runs.reported import users_new_to
from warehouse.runs.run import Run
from warehouse.runs.snapshot import BLOCK, numbered, whole_users


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


def new_to(run: Run, parent: Run) -> NDArray[np.int64]:
    """Ids of the users who were shown something, reported since an earlier run or later than it."""
    return users_new_to(run, parent, "newly_shown", _paths)


def _paths(run: Run) -> list[str]:
    return [str(run.home / "exposures" / name) for name in run.exposures]
