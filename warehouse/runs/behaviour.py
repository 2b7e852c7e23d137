"""The behaviour that a run sees: before its ``as_of``, of the sources of its batches."""

from datetime import datetime

import polars as pl

from warehouse import sql
from warehouse.events import behaviour
from warehouse.runs import files
from warehouse.runs.run import Run
from warehouse.runs.snapshot import numbered


def read(run: Run, since: datetime) -> pl.DataFrame | None:
    """Behaviour by user and film from a moment (UTC) on, over all showings; None for a log without.

    Sorted by user_idx, item_idx. Of several showings the largest value counts.
    """
    paths = [str(path) for path in behaviour.files(run.home, run.batches)]
    if not paths:
        return None
    with sql.bounded(run.file(".duckdb-behaviour")) as con:
        sql.set_variables(con, files=paths, since=since, as_of=run.as_of)
        for side in ("user", "item"):
            con.register(f"{side}s", numbered(files.read_table(run, f"{side}s"), side))
        found: pl.DataFrame = con.sql(sql.load("run/behaviour")).pl()
    return found
