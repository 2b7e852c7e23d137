"""The block lists that a run sees: the requests in the files of when it began.

A run of an earlier day sees those before its ``as_of`` alone.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from warehouse import sql
from warehouse.runs import files
from warehouse.runs.reported import until, users_new_to
from warehouse.runs.run import Run
from warehouse.runs.snapshot import numbered


def read(run: Run) -> pl.DataFrame:
    """The films that users of the run have asked not to see: distinct user_idx, item_idx, sorted."""
    with sql.bounded(run.file(".duckdb-block-list")) as con:
        sql.set_variables(con, files=_paths(run), until=until(run))
        con.register("users", numbered(files.read_table(run, "users"), "user"))
        con.register("items", numbered(files.read_table(run, "items"), "item"))
        found: pl.DataFrame = con.sql(sql.load("run/block_list")).pl()
    return found


def new_to(run: Run, parent: Run) -> NDArray[np.int64]:
    """Ids of the users who asked for something, reported since an earlier run or later than it."""
    return users_new_to(run, parent, "newly_requested", _paths)


def _paths(run: Run) -> list[str]:
    return [str(run.home / "block_list" / name) for name in run.block_list]
