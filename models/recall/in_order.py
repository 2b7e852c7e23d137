"""Lists that walk down one order of the items, the same for a group of users, past what each has seen."""

import numpy as np
from numba import njit, prange

from models.candidates import Candidates
from models.dataset import Floats, Ints, Longs, Queries

ROWS = 64
"""Queries that share a scratch row of all items."""


def recommend_in_order(
    score: Floats, group: Longs, queries: Queries, n: int, filter_seen: bool = True
) -> Candidates:
    """The n best items by the scores (G, I) of each query's group (B,), ties by ascending item.

    An item at -inf is no candidate. Each group that is asked for is sorted once; a query costs the items
    listed and those seen.
    """
    groups, row = np.unique(group, return_inverse=True)
    order = np.argsort(-score[groups], axis=1, kind="stable")
    ordered = np.take_along_axis(score[groups], order, axis=1)
    end = queries.end if filter_seen else queries.start
    return Candidates(*_walk(order, ordered, row, queries.start, end, queries.log.item_idx, n))


@njit(parallel=True, cache=True)
def _walk(
    order: Longs, score: Floats, group: Longs, start: Longs, end: Longs, log_item: Ints, n: int
) -> tuple[Ints, Floats]:
    items = np.full((len(group), n), -1, dtype=np.int32)
    scores = np.full((len(group), n), -np.inf, dtype=np.float32)
    for chunk in prange((len(group) + ROWS - 1) // ROWS):
        seen_by = np.full(order.shape[1], -1, dtype=np.int32)  # the newest query
        for query in range(chunk * ROWS, min((chunk + 1) * ROWS, len(group))):
            for event in range(start[query], end[query]):
                seen_by[log_item[event]] = query
            size = 0
            for rank0 in range(order.shape[1]):
                item, value = order[group[query], rank0], score[group[query], rank0]
                if size == n or value == -np.inf:
                    break
                if seen_by[item] != query:
                    items[query, size], scores[query, size] = item, value
                    size += 1
    return items, scores
