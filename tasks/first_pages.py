"""First pages of users, the first ranks of their lists, as arrays."""

import numpy as np
import polars as pl

from models.dataset import Longs
from warehouse.releases.contents import PAGE

__all__ = ["PAGE", "matrix"]


def matrix(lists: pl.DataFrame, users: pl.Series) -> Longs:
    """(U, PAGE) item ids of the pages of these users, who are ascending; padded with -1.

    ``lists`` has user_id, rank and item_id, also of other users.
    """
    rows = lists.filter(pl.col("user_id").is_in(users.implode()))
    found = np.full((len(users), PAGE), -1, dtype=np.int64)
    row = np.searchsorted(users.to_numpy(), rows["user_id"].to_numpy())
    found[row, rows["rank"].to_numpy() - 1] = rows["item_id"].to_numpy()
    return found
