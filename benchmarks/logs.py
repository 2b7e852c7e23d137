"""A source as the log that models learn from."""

import numpy as np
import polars as pl

from models.dataset import Dataset
from warehouse.sources import source as sources


def read_log(source: str) -> Dataset:
    """All ratings of a source (what ``matinee ingest`` takes); no attributes of users and items."""
    rows = pl.concat(sources.resolve(source).ratings())
    if "is_play" in rows.columns:
        rows = rows.filter("is_play")
    user_ids, user_idx = np.unique(rows["user_id"].to_numpy(), return_inverse=True)
    item_ids, item_idx = np.unique(rows["item_id"].to_numpy(), return_inverse=True)
    at = rows["timestamp"].to_numpy().astype(np.int64)
    order = np.lexsort((at, user_idx))  # stable: ties of time keep the order of the file
    return Dataset(
        user_idx[order].astype(np.int32),
        item_idx[order].astype(np.int32),
        rows["rating"].to_numpy()[order].astype(np.float32),
        at[order],
        len(user_ids),
        len(item_ids),
        int(at.max()) + 1,
    )
