"""Exact top-n of score rows, seen items left out, ties by ascending item."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, prange

from models.candidates import Candidates
from models.dataset import Floats, Ints, Longs, Mask, Queries

BLOCK = 1024
"""Queries scored at once: a block of scores over 4,000 items is 16 MB."""

TILE = 512
"""Items of a tile of products: with rows of four queries it stays in the first cache."""


def recommend_by_score(
    score: Callable[[Queries], Floats],
    queries: Queries,
    n: int,
    filter_seen: bool = True,
    *,
    among: Mask | None = None,
    needs_history: bool = False,
) -> Candidates:
    """Candidates of a channel that scores every item, block by block of queries.

    ``score`` maps b queries to (b, I) float32 scores of its own, which may be overwritten; an item at -inf is
    no candidate. ``among`` (I,) are the only items recommended, all by default. With ``needs_history`` a
    query without a history gets only padding: the channel knows nothing of it.
    """
    items = np.empty((len(queries), n), dtype=np.int32)
    scores = np.empty((len(queries), n), dtype=np.float32)
    for begin in range(0, len(queries), BLOCK):
        block = queries.rows(begin, begin + BLOCK)
        scored = score(block)  # (b, I)
        if among is not None:
            scored[:, ~among] = -np.inf
        if needs_history:
            scored[block.start == block.end] = -np.inf
        top = top_n(scored, block, n, filter_seen)
        items[begin : begin + BLOCK], scores[begin : begin + BLOCK] = top.item, top.score
    return Candidates(items, scores)


def top_n(scores: Floats, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
    """The best n of each row of scores (B, I), without the items of the query's history."""
    start, end = (queries.start, queries.end) if filter_seen else (queries.start, queries.start)
    return Candidates(*_top_n(np.ascontiguousarray(scores), start, end, queries.log.item_idx, n))


def first_unseen(listed: Ints, row: Longs, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
    """The first n of ``listed[row[b]]`` without the items of query b's history, scored by minus their rank0.

    ``listed`` (G, m) are lists, best first, -1 where there is no item; row -1 is an empty list.
    """
    end = queries.end if filter_seen else queries.start
    log = queries.log
    return Candidates(*_first_unseen(listed, row, queries.start, end, log.item_idx, log.n_items, n))


def products(left: Floats, right: Floats) -> Floats:
    """(B, I) float32 inner products of rows (B, D) and (I, D); a row's do not depend on the other rows.

    Each is added up in the order of D, so that it is the same to the bit for any number of rows and threads:
    those of numpy are not. As fast as torch's, whose import takes longer than the products of one query.
    """
    found = np.zeros((len(left), len(right)), dtype=np.float32)
    _add_products(np.ascontiguousarray(left), np.ascontiguousarray(right.T), found)
    return found


def best_unseen(scores: Floats, start: Longs, end: Longs, seen: Ints, n: int) -> tuple[Ints, Floats]:
    """The best n columns of each row b of scores (B, I), ``seen[start[b]:end[b]]`` left out; their scores."""
    return _top_n(np.ascontiguousarray(scores), start, end, seen, n)


def best_of_rows(scores: Floats, n: int) -> tuple[Ints, Floats]:
    """The best n columns of each row of scores (R, C) and their scores: (R, n), padded with -1 and -inf."""
    nothing = np.zeros(len(scores), dtype=np.int64)
    return _top_n(np.ascontiguousarray(scores), nothing, nothing, np.empty(0, dtype=np.int32), n)


@njit(cache=True, parallel=True)
def _add_products(left: Floats, right: Floats, found: Floats) -> None:
    """Add the products of (B, D) and (D, I) to (B, I): four rows at a time, which share what is read."""
    n_rows, n_items = found.shape
    for block in prange((n_rows + 3) // 4):
        row, last = 4 * block, min(4 * block + 4, n_rows)
        for begin in range(0, n_items, TILE):
            end = min(begin + TILE, n_items)
            if last - row == 4:
                one, two = found[row, begin:end], found[row + 1, begin:end]
                three, four = found[row + 2, begin:end], found[row + 3, begin:end]
                for d in range(left.shape[1]):
                    of_one, of_two = left[row, d], left[row + 1, d]
                    of_three, of_four = left[row + 2, d], left[row + 3, d]
                    items = right[d, begin:end]
                    for item in range(end - begin):
                        one[item] += of_one * items[item]
                        two[item] += of_two * items[item]
                        three[item] += of_three * items[item]
                        four[item] += of_four * items[item]
            else:
                for alone in range(row, last):
                    found_of = found[alone, begin:end]
                    for d in range(left.shape[1]):
                        items = right[d, begin:end]
                        for item in range(end - begin):
                            found_of[item] += left[alone, d] * items[item]


@njit(cache=True, inline="always")
def _worse(score_a: Any, item_a: int, score_b: Any, item_b: int) -> bool:
    return score_a < score_b or (score_a == score_b and item_a > item_b)


@njit(cache=True)
def _sift_down(score: Floats, item: Ints, root: int, size: int) -> None:
    """Restore the heap whose root is the worst of the best so far."""
    while True:
        child = 2 * root + 1
        if child >= size:
            return
        if child + 1 < size and _worse(score[child + 1], item[child + 1], score[child], item[child]):
            child += 1
        if not _worse(score[child], item[child], score[root], item[root]):
            return
        score[root], score[child] = score[child], score[root]
        item[root], item[child] = item[child], item[root]
        root = child


@njit(cache=True)
def offer(value: Any, candidate: int, item: Ints, score: Floats, size: int) -> int:
    """Take a candidate into the heap of the best so far, of ``size`` in n places; returns its new size."""
    if size < len(item):
        # Grow the heap from its end: sift up.
        node = size
        score[node], item[node] = value, candidate
        while node > 0:
            parent = (node - 1) // 2
            if not _worse(score[node], item[node], score[parent], item[parent]):
                break
            score[node], score[parent] = score[parent], score[node]
            item[node], item[parent] = item[parent], item[node]
            node = parent
        return size + 1
    if _worse(score[0], item[0], value, candidate):
        score[0], item[0] = value, candidate
        _sift_down(score, item, 0, size)
    return size


@njit(cache=True)
def best_first(item: Ints, score: Floats, size: int) -> None:
    """Sort a heap: pop the worst to the end until the best is in front."""
    for last in range(size - 1, 0, -1):
        score[0], score[last] = score[last], score[0]
        item[0], item[last] = item[last], item[0]
        _sift_down(score, item, 0, last)


@njit(cache=True)
def _select(row: Floats, seen: Mask, item: Ints, score: Floats) -> None:
    """Fill item and score (n,), initially -1 and -inf, with the best of one row, best first."""
    size = 0
    for candidate in range(len(row)):
        value = row[candidate]
        # Also skips NaN, which compares false.
        if value > -np.inf and not seen[candidate]:
            size = offer(value, candidate, item, score, size)
    best_first(item, score, size)


@njit(parallel=True, cache=True)
def _top_n(scores: Floats, start: Longs, end: Longs, log_item: Ints, n: int) -> tuple[Ints, Floats]:
    rows, n_items = scores.shape
    items = np.full((rows, n), -1, dtype=np.int32)
    best = np.full((rows, n), -np.inf, dtype=np.float32)
    if n == 0:
        return items, best
    for row in prange(rows):
        seen = np.zeros(n_items, dtype=np.bool_)
        for event in range(start[row], end[row]):
            seen[log_item[event]] = True
        _select(scores[row], seen, items[row], best[row])
    return items, best


@njit(parallel=True, cache=True)
def _first_unseen(
    listed: Ints, row: Longs, start: Longs, end: Longs, log_item: Ints, n_items: int, n: int
) -> tuple[Ints, Floats]:
    items = np.full((len(row), n), -1, dtype=np.int32)
    scores = np.full((len(row), n), -np.inf, dtype=np.float32)
    for query in prange(len(row)):
        if row[query] < 0:
            continue
        seen = np.zeros(n_items, dtype=np.bool_)
        for event in range(start[query], end[query]):
            seen[log_item[event]] = True
        size = 0
        for item in listed[row[query]]:
            if size == n:
                break
            if item >= 0 and not seen[item]:
                items[query, size], scores[query, size] = item, -size
                size += 1
    return items, scores
