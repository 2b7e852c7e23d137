"""The block lists that a run sees: the requests in the files of when it began.

A run of an earlier day sees those before its ``as_of`` alone.
"""

from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from warehouse import sql
from warehouse.runs import files, snapshot
from warehouse.runs.reported import users_new_to
from warehouse.runs.run import Run
from warehouse.runs.snapshot import numbered


def read(run: Run) -> pl.DataFrame:
    """The films that users of the run have asked not to see: distinct user_idx, item_idx, sorted."""
    with sql.bounded(run.file(".duckdb-block-list")) as con:
        sql.set_variables(con, files=_paths(run), until=_until(run))
        con.register("users", numbered(files.read_table(run, "users"), "user"))
        con.register("items", numbered(files.read_table(run, "items"), "item"))
        found: pl.DataFrame = con.sql(sql.load("run/block_list")).pl()
    return found


def new_to(run: Run, parent: Run) -> NDArray[np.int64]:
    """Ids of the users who asked for something, reported since an earlier run or later than it."""
    return users_new_to(run, parent, "newly_requested", _paths, _until)


def _until(run: Run) -> datetime:
    """The moment before which requests count for a run.

    ``as_of`` is just after the newest rating unless somebody chose an earlier one: a run of now heeds what
    was asked since that rating.
    """
    return run.as_of if snapshot.is_backdated(run) else datetime.max


def _paths(run: Run) -> list[str]:
    return [str(run.home / "block_list" / name) for name in run.block_list]
