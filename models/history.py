"""Histories and interactions as sparse matrices, the input of every linear channel."""

import math

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from models.dataset import Dataset, Ints, Longs, Queries, queries_at

FOREVER = float("inf")
"""The decay of a history whose events all weigh the same."""

FADED = 10.0
"""Decays after which an event of a history is left out: it would weigh e^-10."""


def reach(decay: float, faded: float = FADED) -> int | None:
    """Newest events of a history that count, those of fewer than ``faded`` decays; None for all of them."""
    return None if math.isinf(decay) else math.ceil(faded * decay)


def decayed_history(
    queries: Queries, decay: float = FOREVER, newest: int | None = None, rated: bool = False
) -> csr_array:
    """The histories of B queries as (B, I) float32, newer items heavier, indices sorted.

    The k-th newest distinct item (k from 0) weighs exp(-k / decay), times its rating if ``rated``; ``newest``
    keeps only so many. An item rated more than once counts once, as its newest rating.
    """
    limit = np.iinfo(np.int64).max if newest is None else newest
    log = queries.log
    event, position, indptr = _newest_first(queries.start, queries.end, log.item_idx, log.n_items, limit)
    weight = np.exp(-position / decay).astype(np.float32)
    if rated:
        weight *= log.rating[event]
    history = csr_array((weight, log.item_idx[event], indptr), shape=(len(queries), log.n_items))
    history.sort_indices()
    return history


def interactions(dataset: Dataset) -> csr_array:
    """The ratings as a matrix of users and items, (U, I) float32 of ones, indices sorted."""
    return decayed_history(queries_at(dataset))


@njit(cache=True)
def _newest_first(
    start: Longs, end: Longs, log_item: Ints, n_items: int, newest: int
) -> tuple[Longs, Longs, Longs]:
    """The newest event of each distinct item of each history, newest first: event, position, indptr."""
    rows = len(start)
    indptr = np.zeros(rows + 1, dtype=np.int64)
    capacity = 0
    for row in range(rows):
        capacity += min(end[row] - start[row], newest)
    events = np.empty(capacity, dtype=np.int64)
    position = np.empty(capacity, dtype=np.int64)
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
                events[size], position[size] = event, size - begin
                size += 1
        indptr[row + 1] = size
    return events[:size].copy(), position[:size].copy(), indptr
