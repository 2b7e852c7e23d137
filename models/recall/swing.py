"""Swing: two films are alike when users who have little else in common rated both.

Yang, Zhu, Zhang, Wang and Yuan, "Large Scale Product Graph Construction for Recommendation in E-commerce"
(2020), https://arxiv.org/abs/2010.05525, with the user weights of its section 3:

    s(i, j) = sum over pairs u < v of users who rated both i and j of  w_u w_v / (alpha + |I_u & I_v|)
    w_u = |I_u|^-1/2

computed exactly, over all users and items. Every pair of users adds one number, c(u, v), to all pairs of the
items they both rated. Users are taken in order of activity and each u meets the more active v: all that u
adds falls into a matrix over the items of u alone, small enough for the cache, which then is added to the
whole. Its row for item p is the sum of the rows c(u, v) [v has q] of all v who have p: dense vectors, a block
of users at a time. Only positions q > p count, so popular items, whose rows add up most users, come last.
"""

from typing import Self

import numpy as np
from numba import get_num_threads, njit, prange
from pydantic import PositiveFloat, PositiveInt

from models.bounds import NonNegative
from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Dataset, Doubles, Floats, Ints, Queries
from models.history import decayed_history, interactions
from models.neighbours import nearest, score_by_neighbours
from models.recall.contract import Tables
from models.state import State
from models.top_n import recommend_by_score

MAX_STRIPES = 4
"""Threads at most: each holds a dense (I, I) matrix, 110 MB for 3,706 items."""

LANES = 16
"""Columns are padded to a multiple of the float32 of one vector register."""

USERS = 512
"""More active users taken at once: their rows over the items of u stay in the cache."""


class SwingConfig(Config):
    """Similarity of items, and how a history uses it."""

    alpha: NonNegative = 1.0
    """Smoothing of the overlap of two users, in items."""
    damping: NonNegative = 0.6
    """Power of an item's summed similarity that its scores are divided by; 0 favours the popular."""
    n_neighbours: PositiveInt = 200
    """Nearest items of each item."""
    decay: PositiveFloat = 5.0
    """Decay of a history, in items: the k-th newest weighs exp(-k / decay)."""


def swing_similarity(dataset: Dataset, alpha: float = 1.0) -> Doubles:
    """s(i, j) of all pairs, (I, I) float64, symmetric, zero on the diagonal.

    Time grows with the squared overlaps of all pairs of users, memory with I squared.
    """
    rated = interactions(dataset)
    by_activity = np.argsort(np.diff(rated.indptr), kind="stable")
    by_popularity = np.argsort(np.bincount(rated.indices, minlength=dataset.n_items), kind="stable")
    rated = rated[by_activity][:, by_popularity]
    rated.sort_indices()
    raters = rated.T.tocsr()
    raters.sort_indices()
    weight = 1 / np.sqrt(np.maximum(np.diff(rated.indptr), 1))
    stripes = min(get_num_threads(), MAX_STRIPES)
    half = _swing(rated.indptr, rated.indices, raters.indptr, raters.indices, weight, alpha, stripes)
    position = np.argsort(by_popularity)
    similarity: Doubles = (half + half.T)[np.ix_(position, position)]
    return similarity


class Swing:
    """Swing neighbours of a recency-weighted history.

    s is large between popular items, so the score weighs it down by the summed similarity of the item
    scored, and lets every item of the history give out the same sum:

        score(j) = sum over i in the history of w_i s'(i, j) / sum over j' of s'(i, j'),
        s'(i, j) = s(i, j) / (sum over i' of s(i', j))^damping

    State: ``neighbour`` and ``similarity`` (I, K), the largest s, as published; ``near`` and ``weight``
    (I, K), the neighbours by s' and their part of the score.
    """

    def __init__(self, config: SwingConfig = SwingConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        similarity = swing_similarity(dataset, self.config.alpha)
        published = nearest(similarity, self.config.n_neighbours)
        total = similarity.sum(0)
        total[total == 0] = 1
        used = nearest(similarity / total**self.config.damping, self.config.n_neighbours)
        total_used = np.where(used.item >= 0, used.score, 0).sum(1, keepdims=True)
        self.state = {
            "neighbour": published.item,
            "similarity": published.score,
            "near": used.item,
            "weight": used.score / np.where(total_used > 0, total_used, 1),
        }
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        return recommend_by_score(self._score, queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables(item_similarity=Neighbours(self.state["neighbour"], self.state["similarity"]))

    def _score(self, queries: Queries) -> Floats:
        near = Neighbours(self.state["near"], self.state["weight"])
        return score_by_neighbours(decayed_history(queries, self.config.decay), near)


@njit(parallel=True, cache=True)
def _swing(
    item_ptr: Ints,
    item: Ints,
    user_ptr: Ints,
    user: Ints,
    weight: Doubles,
    alpha: float,
    stripes: int,
) -> Doubles:
    """The upper triangle of s (I, I).

    Users are numbered by activity, items by popularity, both ascending, and so is each list of them.
    """
    n_users, n_items = len(item_ptr) - 1, len(user_ptr) - 1
    total = np.zeros((stripes, n_items, n_items))
    for stripe in prange(stripes):
        for u in range(stripe, n_users, stripes):
            mine = item[item_ptr[u] : item_ptr[u + 1]]
            local = _with_more_active(u, mine, user_ptr, user, weight, alpha)
            for p in range(len(mine)):
                for q in range(p + 1, len(mine)):
                    total[stripe, mine[p], mine[q]] += local[p, q]
    for stripe in range(1, stripes):
        total[0] += total[stripe]
    upper: Doubles = total[0]
    return upper


@njit(cache=True)
def _with_more_active(
    u: int, mine: Ints, user_ptr: Ints, user: Ints, weight: Doubles, alpha: float
) -> Floats:
    """Sum over v > u of c(u, v) on all pairs of shared items, over the positions p < q of u's own items.

    Below the diagonal is nonsense: columns begin at a multiple of LANES, so that loops are vectors.
    """
    n_users, width = len(weight), -(-len(mine) // LANES) * LANES
    begin = np.empty(len(mine), dtype=np.int64)  # first rater of each item not yet added
    overlap = np.zeros(n_users, dtype=np.int32)
    for p in range(len(mine)):
        raters = user[user_ptr[mine[p]] : user_ptr[mine[p] + 1]]
        later = np.searchsorted(raters, u) + 1
        begin[p] = user_ptr[mine[p]] + later
        for v in raters[later:]:
            overlap[v] += 1
    c = (weight[u] * weight / (alpha + overlap)).astype(np.float32)

    local = np.zeros((len(mine), width), dtype=np.float32)
    end = np.empty_like(begin)
    block = np.empty((USERS + 1, width), dtype=np.float32)  # c(u, v) where v has the item; last row zeros
    for first in range(u + 1, n_users, USERS):
        block[:] = 0
        for p in range(len(mine)):
            k, stop = begin[p], user_ptr[mine[p] + 1]
            while k < stop and user[k] < first + USERS:
                block[user[k] - first, p] = c[user[k]]
                k += 1
            end[p] = k
        for p in range(len(mine)):
            _add_rows(local[p], block, user[begin[p] : end[p]], first, p)
            begin[p] = end[p]
    return local


@njit(cache=True)
def _add_rows(total: Floats, block: Floats, users: Ints, first: int, start: int) -> None:
    """Add the rows of some users to the total from column start on, four at once to save stores.

    Row 0 of the block is that of the user ``first``, its last row is zeros.
    """
    column = start // LANES * LANES
    into = total[column:]
    zeros, n = len(block) - 1, len(users)
    for k in range(0, n, 4):
        a = block[users[k] - first, column:]
        b = block[users[k + 1] - first if k + 1 < n else zeros, column:]
        c = block[users[k + 2] - first if k + 2 < n else zeros, column:]
        d = block[users[k + 3] - first if k + 3 < n else zeros, column:]
        for q in range(len(into) // LANES * LANES):
            into[q] += (a[q] + b[q]) + (c[q] + d[q])
