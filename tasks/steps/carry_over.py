"""The rows that an incremental run takes over from the release that it refreshes."""

import numpy as np
import polars as pl

from tasks import data as run_data
from tasks.cost import RowCounts
from tasks.step import step
from warehouse.runs import files
from warehouse.runs.run import Run

UNCHANGED = (
    "segments.parquet",
    "merge_weights.parquet",
    "item_similarity/*",
    "item_embeddings/*",
    "models/**/*.np[yz]",
)
"""Files that only a full run computes."""

CARRIED = "carried"
"""The part of a table that holds what the parent has of everybody else."""


@step("select users", reads=["events"], writes=["target_users"])
def select_users(run: Run) -> RowCounts:
    """Write down the target users: those with new events, and those whom the run's parent did not know."""
    data = run_data.load(run)
    selected = np.zeros(data.dataset.n_users, dtype=np.bool_)
    selected[data.dataset.user_idx[data.new_events]] = True
    listed = files.read_parts(data.parent, "recommended", ["user_id"])["user_id"].unique().to_numpy()
    selected |= ~np.isin(data.vocabulary.user_ids, listed)
    frame = pl.DataFrame({"user_idx": np.flatnonzero(selected).astype(np.int32)})
    for pattern in UNCHANGED:
        files.link(data.parent, run, pattern)
    return {"target_users": files.write_table(run, "target_users", frame)}


@step(
    "carry over",
    reads=["recommended", "user_embeddings"],
    writes=["recommended", "user_embeddings"],
)
def carry_over(run: Run) -> RowCounts:
    """Everybody else keeps the rows of the parent."""
    data = run_data.load(run)
    incremental = data.config.incremental.channel
    tables = ["recommended"] if incremental is None else ["recommended", f"user_embeddings/{incremental}"]
    mine = pl.DataFrame({"user_id": data.target_ids})
    rows = {}
    for table in tables:
        theirs = files.read_parts(data.parent, table).join(mine, on="user_id", how="anti")
        rows[table] = files.write_table(run, f"{table}/{CARRIED}", theirs)
    return rows
