"""What an incremental run takes over from the release that it refreshes."""

import numpy as np
import polars as pl

from tasks import data
from tasks.step import step
from warehouse.runs import run as runs
from warehouse.runs import snapshot
from warehouse.runs.run import Run

UNCHANGED = (
    "segments.parquet",
    "merge_weights.parquet",
    "item_similarity/*",
    "item_embeddings/*",
    "user_embeddings/*",
    "models/*.npz",
)
"""What only a full run computes."""


@step("touch", reads=["events"], writes=["touched"])
def touch(run: Run) -> dict[str, int]:
    """Write down whom the run answers: users with new events, and users whom its parent did not know."""
    dataset, vocabulary = data.load(run)
    parent = runs.parent(run)
    news = np.zeros(dataset.n_users, dtype=np.bool_)
    news[dataset.user_idx[data.new_rows(run, parent)]] = True
    listed = snapshot.read_table(parent, "recommended")["user_id"].unique().to_numpy()
    news |= ~np.isin(vocabulary.user_ids, listed)
    frame = pl.DataFrame({"user_idx": np.flatnonzero(news).astype(np.int32)})
    for pattern in UNCHANGED:
        runs.share(parent, run, pattern)
    return {"touched": snapshot.write_table(run, "touched", frame)}


@step("carry over", reads=["recommended"], writes=["recommended"])
def carry_over(run: Run) -> dict[str, int]:
    """Everybody else keeps the list of the parent, row by row."""
    mine = snapshot.read_table(run, "recommended")
    theirs = snapshot.read_table(runs.parent(run), "recommended")
    theirs = theirs.join(mine, on="user_id", how="anti")
    whole = pl.concat([mine, theirs.select(mine.columns)])
    return {"refreshed": mine.height, "recommended": snapshot.write_table(run, "recommended", whole)}
