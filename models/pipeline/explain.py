"""Reasons: the watched film that explains a recommended one best."""

import numpy as np
from numba import njit, prange

from models.candidates import Neighbours
from models.dataset import Floats, Ints, Longs, Queries

QUERIES = 64
"""Queries that share a scratch row of all items, which is cleared where they touched it."""


def because(item: Ints, queries: Queries, neighbours: Neighbours, decay: float) -> Ints:
    """(B, n) the film of the history with the highest similarity x recency to each item; -1 for none.

    ``item`` is (B, n), padded with -1; ``neighbours`` are the nearest items of each item: a watched film
    explains an item if the item is among its neighbours. The k-th newest film of a history weighs
    exp(-k / decay): people remember what they just saw.
    """
    log_item = queries.log.item_idx
    return _because(item, queries.start, queries.end, log_item, neighbours.item, neighbours.score, decay)


@njit(parallel=True, cache=True)
def _because(
    item: Ints,
    start: Longs,
    end: Longs,
    log_item: Ints,
    neighbour: Ints,
    similarity: Floats,
    decay: float,
) -> Ints:
    rows, n = item.shape
    n_items, width = neighbour.shape
    reason = np.full((rows, n), -1, dtype=np.int32)
    for chunk in prange((rows + QUERIES - 1) // QUERIES):
        # Nothing is stronger than what the query at hand does not ask for.
        strength = np.full(n_items, np.inf, dtype=np.float32)
        cause = np.empty(n_items, dtype=np.int32)
        for row in range(chunk * QUERIES, min((chunk + 1) * QUERIES, rows)):
            for wanted in item[row]:
                if wanted >= 0:
                    strength[wanted], cause[wanted] = 0, -1
            for event in range(end[row] - 1, start[row] - 1, -1):
                watched = log_item[event]
                recency = np.exp(-(end[row] - 1 - event) / decay)
                for rank0 in range(width):
                    near = neighbour[watched, rank0]
                    if near >= 0 and similarity[watched, rank0] * recency > strength[near]:
                        strength[near] = similarity[watched, rank0] * recency
                        cause[near] = watched
            for rank0 in range(n):
                if item[row, rank0] >= 0:
                    reason[row, rank0] = cause[item[row, rank0]]
                    strength[item[row, rank0]] = np.inf
    return reason
