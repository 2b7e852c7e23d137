"""Histories and interactions as sparse matrices, the input of every linear channel."""

import math

import numpy as np
from numba import njit, prange
from scipy.sparse import csr_array

from models.dataset import Dataset, Floats, Ints, Longs, Queries, queries_at

FOREVER = float("inf")
"""The decay of a history whose events all weigh the same."""

FADED = 10.0
"""Decays after which an event of a history is left out: it would weigh e^-10."""

ROWS = 256
"""Histories that share scratch arrays over all items."""


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
    indptr = _offsets(_distinct(queries.start, queries.end, log.item_idx, log.n_items, limit))
    weight = np.exp(-np.arange(np.diff(indptr).max(initial=0)) / decay).astype(np.float32)
    item, value = _newest_first(
        queries.start, queries.end, log.item_idx, log.n_items, indptr, weight, log.rating if rated else None
    )
    history = csr_array((value, item, indptr), shape=(len(queries), log.n_items))
    history.has_sorted_indices = True
    return history


def interactions(dataset: Dataset) -> csr_array:
    """The ratings as a matrix of users and items, (U, I) float32 of ones, indices sorted."""
    return decayed_history(queries_at(dataset))


def _offsets(count: Longs) -> Ints | Longs:
    """(B + 1,) where rows of these sizes begin and end, as narrow as the sum allows."""
    indptr: Longs = np.concatenate([[0], np.cumsum(count)])
    return indptr.astype(np.int32) if indptr[-1] <= np.iinfo(np.int32).max else indptr


@njit(parallel=True, cache=True)
def _distinct(start: Longs, end: Longs, log_item: Ints, n_items: int, newest: int) -> Longs:
    """(B,) the distinct items of each history, at most ``newest``."""
    rows = len(start)
    count = np.zeros(rows, dtype=np.int64)
    for run in prange((rows + ROWS - 1) // ROWS):
        row_of = np.full(n_items, -1, dtype=np.int32)  # the row that met the item last
        for row in range(run * ROWS, min((run + 1) * ROWS, rows)):
            event = end[row] - 1
            while event >= start[row] and count[row] < newest:
                if row_of[log_item[event]] != row:
                    row_of[log_item[event]] = row
                    count[row] += 1
                event -= 1
    return count


@njit(parallel=True, cache=True)
def _newest_first(
    start: Longs,
    end: Longs,
    log_item: Ints,
    n_items: int,
    indptr: Ints | Longs,
    weight: Floats,
    rating: Floats | None,
) -> tuple[Ints, Floats]:
    """The distinct items of each history that ``indptr`` has room for, by item: items and their weights.

    ``weight`` is by position from the newest one.
    """
    rows = len(start)
    item = np.empty(indptr[-1], dtype=np.int32)
    value = np.empty(indptr[-1], dtype=np.float32)
    for run in prange((rows + ROWS - 1) // ROWS):
        row_of = np.full(n_items, -1, dtype=np.int32)  # the row that met the item last
        of_item = np.empty(n_items, dtype=np.float32)  # its weight there
        for row in range(run * ROWS, min((run + 1) * ROWS, rows)):
            begin, stop = indptr[row], indptr[row + 1]
            size, event = begin, end[row] - 1
            while size < stop:
                met = log_item[event]
                if row_of[met] != row:
                    row_of[met], item[size] = row, met
                    of_item[met] = weight[size - begin]
                    if rating is not None:
                        of_item[met] *= rating[event]
                    size += 1
                event -= 1
            item[begin:stop].sort()
            for k in range(begin, stop):
                value[k] = of_item[item[k]]
    return item, value
