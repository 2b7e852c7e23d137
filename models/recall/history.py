"""Histories and interactions as sparse matrices, the input of every linear channel."""

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from models.dataset import Dataset, Ints, Longs, Queries, queries_at

FOREVER = float("inf")
"""The decay of a history whose events all weigh the same."""


def decayed_history(queries: Queries, decay: float = FOREVER, newest: int | None = None) -> csr_array:
    """The histories of B queries as (B, I) float32, newer items heavier, indices sorted.

    The k-th newest distinct item (k from 0) weighs exp(-k / decay); ``newest`` keeps only so many. An item
    rated more than once counts once, at its newest place.
    """
    limit = np.iinfo(np.int64).max if newest is None else newest
    log = queries.log
    columns, place, indptr = _newest_first(queries.start, queries.end, log.item_idx, log.n_items, limit)
    weight = np.exp(-place / decay).astype(np.float32)
    history = csr_array((weight, columns, indptr), shape=(len(queries), log.n_items))
    history.sort_indices()
    return history


def interactions(dataset: Dataset) -> csr_array:
    """Who rated what, (U, I) float32 of ones, indices sorted."""
    return decayed_history(queries_at(dataset))


@njit(cache=True)
def _newest_first(
    start: Longs, end: Longs, log_item: Ints, n_items: int, newest: int
) -> tuple[Ints, Longs, Longs]:
    """The distinct items of each history, newest first, with their places: columns, places, indptr."""
    rows = len(start)
    indptr = np.zeros(rows + 1, dtype=np.int64)
    capacity = 0
    for row in range(rows):
        capacity += min(end[row] - start[row], newest)
    columns = np.empty(capacity, dtype=np.int32)
    place = np.empty(capacity, dtype=np.int64)
    row_of = np.full(n_items, -1, dtype=np.int64)  # the row that met the item last
    size = 0
    for row in range(rows):
        begin = size
        for event in range(end[row] - 1, start[row] - 1, -1):
            if size - begin == newest:
                break
            item = log_item[event]
            if row_of[item] != row:
                row_of[item] = row
                columns[size], place[size] = item, size - begin
                size += 1
        indptr[row + 1] = size
    return columns[:size].copy(), place[:size].copy(), indptr
