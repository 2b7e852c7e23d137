"""Which watched film explains a recommended one best."""

import numpy as np
from numba import njit, prange

from models.candidates import Neighbours
from models.dataset import Floats, Ints, Longs, Queries

RECENCY = 20.0
"""The k-th newest film of a history weighs exp(-k / RECENCY): people remember what they just saw."""


def because(item: Ints, queries: Queries, neighbours: Neighbours) -> Ints:
    """(B, n) the film of the history with the highest similarity x recency to each item; -1 for none.

    ``item`` is (B, n), padded with -1; ``neighbours`` are the nearest items of each item: a watched film
    explains an item if the item is among its neighbours.
    """
    log_item = queries.log.item_idx
    return _because(item, queries.start, queries.end, log_item, neighbours.item, neighbours.score)


@njit(parallel=True, cache=True)
def _because(
    item: Ints, start: Longs, end: Longs, log_item: Ints, neighbour: Ints, similarity: Floats
) -> Ints:
    rows, n = item.shape
    n_items, width = neighbour.shape
    reason = np.full((rows, n), -1, dtype=np.int32)
    for row in prange(rows):
        strength = np.zeros(n_items, dtype=np.float32)
        cause = np.full(n_items, -1, dtype=np.int32)
        for event in range(end[row] - 1, start[row] - 1, -1):
            watched = log_item[event]
            recency = np.exp(-(end[row] - 1 - event) / RECENCY)
            for place in range(width):
                near = neighbour[watched, place]
                if near >= 0 and similarity[watched, place] * recency > strength[near]:
                    strength[near] = similarity[watched, place] * recency
                    cause[near] = watched
        for place in range(n):
            if item[row, place] >= 0:
                reason[row, place] = cause[item[row, place]]
    return reason
