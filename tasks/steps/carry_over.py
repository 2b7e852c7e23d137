"""The rows that an incremental run takes over from the release that it refreshes."""

import numpy as np
import polars as pl

from tasks import data as run_data
from tasks.step import RowCounts, step
from warehouse.runs import files
from warehouse.runs.run import Run

UNCHANGED = (
    "segments.parquet",
    "merge_weights.parquet",
    "item_similarity/*",
    "item_embeddings/*",
    "user_embeddings/*",
    "models/*.npz",
)
"""Files that only a full run computes."""


@step("select users", reads=["events"], writes=["target_users"])
def select_users(run: Run) -> RowCounts:
    """Write down the target users: those with new events, and those whom the run's parent did not know."""
    data = run_data.load(run)
    selected = np.zeros(data.dataset.n_users, dtype=np.bool_)
    selected[data.dataset.user_idx[data.new_events]] = True
    listed = files.read_table(data.parent, "recommended")["user_id"].unique().to_numpy()
    selected |= ~np.isin(data.vocabulary.user_ids, listed)
    frame = pl.DataFrame({"user_idx": np.flatnonzero(selected).astype(np.int32)})
    for pattern in UNCHANGED:
        files.link(data.parent, run, pattern)
    return {"target_users": files.write_table(run, "target_users", frame)}


@step("carry over", reads=["recommended"], writes=["recommended"])
def carry_over(run: Run) -> RowCounts:
    """Everybody else keeps the list of the parent, row by row."""
    mine = files.read_table(run, "recommended")
    theirs = files.read_table(run.parent(), "recommended")
    theirs = theirs.join(mine, on="user_id", how="anti")
    whole = pl.concat([mine, theirs.select(mine.columns)])
    return {"refreshed": mine.height, "recommended": files.write_table(run, "recommended", whole)}
