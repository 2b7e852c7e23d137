"""Queries made from histories that are written down."""

import numpy as np

from models.dataset import Dataset, Queries, queries_at


def queries_of(histories: list[list[int]], n_items: int) -> Queries:
    """One query a history, a list of items, oldest first; one event a second."""
    user = np.repeat(np.arange(len(histories)), [len(history) for history in histories]).astype(np.int32)
    item = np.array([item for history in histories for item in history], dtype=np.int32)
    at = np.arange(len(user), dtype=np.int64)
    log = Dataset(user, item, np.ones(len(user), np.float32), at, len(histories), n_items, len(user))
    return queries_at(log)
