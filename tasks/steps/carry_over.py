"""The users whose rows an incremental run computes anew, and the files that it takes over."""

import numpy as np
import polars as pl

from tasks import data as run_data
from tasks.cost import RowCounts
from tasks.step import step
from warehouse.events.exposures import REPORTED
from warehouse.runs import block_list, files, shown
from warehouse.runs.run import Run

UNCHANGED = (
    "segments.parquet",
    "merge_weights.parquet",
    "newcomers.parquet",
    "item_similarity/*",
    "item_embeddings/*",
    "item_communities/*",
    "questions/*",
    "models/**/*.np[yz]",
)
"""Files that only a full run computes."""


@step("select users", reads=["events"], writes=["target_users"])
def select_users(run: Run) -> RowCounts:
    """Write down the target users: those with new events, and those whom the run's parent did not know.

    Where it is reported what users were shown, also those who were shown something since; and those who asked
    not to see something, or to see it again.
    """
    data = run_data.load(run)
    listed = files.read_table(data.parent, "users")["user_id"].to_numpy()
    selected = data.is_active | ~np.isin(data.vocabulary.user_ids, listed)
    if data.config.exposure.source == REPORTED:
        selected |= np.isin(data.vocabulary.user_ids, shown.new_to(run, data.parent))
    selected |= np.isin(data.vocabulary.user_ids, block_list.new_to(run, data.parent))
    frame = pl.DataFrame({"user_idx": np.flatnonzero(selected).astype(np.int32)})
    for pattern in UNCHANGED:
        files.link(data.parent, run, pattern)
    return {"target_users": files.write_table(run, "target_users", frame)}
