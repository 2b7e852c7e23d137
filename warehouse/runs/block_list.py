"""The block lists that a run sees: requests before its ``as_of`` in the files of when it began."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from warehouse import sql
from warehouse.runs import files
from warehouse.runs.run import Run
from warehouse.runs.snapshot import numbered


def read(run: Run) -> pl.DataFrame:
    """The films that users of the run have asked not to see: distinct user_idx, item_idx, sorted."""
    with sql.bounded(run.file(".duckdb-block-list")) as con:
        sql.set_variables(con, files=_paths(run), as_of=run.as_of)
        con.register("users", numbered(files.read_table(run, "users"), "user"))
        con.register("items", numbered(files.read_table(run, "items"), "item"))
        found: pl.DataFrame = con.sql(sql.load("run/block_list")).pl()
    return found


def new_to(run: Run, parent: Run) -> NDArray[np.int64]:
    """Ids of the users who asked for something, reported since an earlier run or later than it."""
    if not run.block_list:
        return np.empty(0, dtype=np.int64)
    with sql.bounded(parent.file(f".{run.id}-block-list")) as con:  # it may have no folder of its own yet
        sql.set_variables(
            con, files=_paths(run), seen_files=_paths(parent), seen_before=parent.as_of, as_of=run.as_of
        )
        users: NDArray[np.int64] = con.execute(sql.load("run/newly_requested")).fetchnumpy()["user_id"]
    return users


def _paths(run: Run) -> list[str]:
    return [str(run.home / "block_list" / name) for name in run.block_list]
