"""Swing: two films are alike when users who have little else in common rated both.

Yang, Zhu, Zhang, Wang and Yuan, "Large Scale Product Graph Construction for Recommendation in E-commerce"
(2020), https://arxiv.org/abs/2010.05525, with the user weights of its section 3:

    s(i, j) = sum over pairs u < v of users who rated both i and j of  w_u w_v / (alpha + |I_u & I_v|)
    w_u = |I_u|^-1/2

Every pair of users adds one number, c(u, v), to all pairs of the items they both rated. Users are taken in
order of activity and each u meets the more active v: all that u adds falls into a matrix over the items of u
alone, small enough for the cache, which then is added to the whole. Its row for item p is the sum of the
rows c(u, v) [v has q] of all v who have p: dense vectors, a block of users at a time. Only positions q > p
count, so popular items, whose rows add up most users, come last.

Three bounds keep time in proportion to the ratings, and memory within a budget. Where they do not bind the
sum is exact; the first two leave its expectation as it is:

- More than ``max_users`` are split at random into groups, which know nothing of each other: pairs grow with
  the users, not with their square, and the ratings of all users count.
- A pair of users who share m > ``max_overlap`` items counts with the chance max_overlap / m, and then
  m / max_overlap times. Such pairs are the dearest, with m^2 / 2 additions, and say the least.
- Of the items that two users rated, the most rated have similarities: as many as ``memory_gib`` allows.
"""

import math
from typing import Self

import numpy as np
from numba import njit, prange
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from models.bounds import NonNegative, Positive
from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Queries
from models.history import decayed_history, interactions
from models.neighbours import to_sparse
from models.recall.contract import Tables
from models.sparse_product import recommend_by_product
from models.splitmix import GOLDEN, mix, unit
from models.state import State
from models.top_n import best_first, offer

LANES = 16
"""Columns are padded to a multiple of the float32 of one vector register."""

USERS = 512
"""More active users taken at once: their rows over the items of u stay in the cache."""

PARTS = 64
"""Parts of a loop that run in parallel, more than there are threads; sums do not depend on them."""

BATCH = 1 << 22
"""Cells of users' own matrices that are computed before they are added to the whole: 16 MiB."""

ROWS = 32
"""Rows of similarities that are laid out at once: 3 MB over 23,000 items."""


class SwingConfig(Config):
    """Similarity of items, how much of the log it rests on, and how a history uses it."""

    alpha: NonNegative = 1.0
    """Smoothing of the overlap of two users, in items."""
    damping: NonNegative = 0.6
    """Power of an item's summed similarity that its scores are divided by; 0 favours the popular."""
    n_neighbours: PositiveInt = 200
    """Nearest items of each item."""
    decay: PositiveFloat = 5.0
    """Decay of a history, in items: the k-th newest weighs exp(-k / decay)."""
    max_users: int = Field(default=8_000, ge=2)
    """Users at most among whom all pairs are compared; more of them are split into random groups."""
    max_overlap: int = Field(default=20, ge=2)
    """Items in common up to which every pair of users counts; of pairs that share more, a weighted sample."""
    memory_gib: Positive = 1.0
    """Memory for the similarities of all pairs of items, in GiB; less rated items that exceed it get none."""
    seed: int = 0
    """Seed of the groups and of the sample of pairs."""


class Swing:
    """Swing neighbours of a recency-weighted history.

    s is large between popular items, so the score weighs it down by the summed similarity of the item
    scored, and lets every item of the history give out the same sum:

        score(j) = sum over i in the history of w_i s'(i, j) / sum over j' of s'(i, j'),
        s'(i, j) = s(i, j) / (sum over i' of s(i', j))^damping

    State: ``neighbour`` and ``similarity`` (I, K), the largest s, as published; ``near`` and ``weight``
    (I, K), the neighbours by s' and their part of the score; ``covered``, the fraction of the ratings whose
    items have similarities.
    """

    def __init__(self, config: SwingConfig = SwingConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        rated = interactions(dataset)
        raters = np.bincount(rated.indices, minlength=dataset.n_items)
        among = np.argsort(raters, kind="stable")[
            -_most_items(self.config.memory_gib) :
        ]  # the most popular last
        among = among[raters[among] > 1]  # no pair of users rated the others
        total = _summed(rated, among, self.config)
        neighbour, similarity, near, damped = _lists(
            total, among, dataset.n_items, self.config.n_neighbours, self.config.damping
        )
        given = np.where(near >= 0, damped, 0).sum(1, keepdims=True)
        self.state = {
            "neighbour": neighbour,
            "similarity": similarity,
            "near": near,
            "weight": damped / np.where(given > 0, given, 1),
            "covered": np.array(raters[among].sum() / max(raters.sum(), 1)),
        }
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        near = Neighbours(self.state["near"], self.state["weight"])
        return recommend_by_product(self._history, to_sparse(near, len(near.item)), queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables(item_similarity=Neighbours(self.state["neighbour"], self.state["similarity"]))

    def _history(self, queries: Queries) -> csr_array:
        return decayed_history(queries, self.config.decay)


def _most_items(memory_gib: float) -> int:
    """Items whose pairs, four bytes each, fit into so much memory; one at least."""
    return max(math.isqrt(int(memory_gib * 2**29)), 1)


def _summed(rated: csr_array, among: Longs, config: SwingConfig) -> Floats:
    """s of all pairs of the items ``among``, as they follow each other there: the upper triangle, packed."""
    weight = 1 / np.sqrt(np.maximum(np.diff(rated.indptr), 1))
    rated = rated[:, among]
    users = np.flatnonzero(np.diff(rated.indptr) > 1)  # others share no pair of items with anyone
    if len(users) > config.max_users:
        users = np.random.default_rng(config.seed).permutation(users)
    groups = np.array_split(users, max(1, -(-len(users) // config.max_users)))
    total = np.zeros(len(among) * (len(among) - 1) // 2, dtype=np.float32)
    for number, group in enumerate(groups):
        by_activity = group[np.argsort(np.diff(rated.indptr)[group], kind="stable")]
        members = rated[by_activity]
        members.sort_indices()
        raters = members.T.tocsr()
        raters.sort_indices()
        _add_group(
            (members.indptr, members.indices),
            (raters.indptr, raters.indices),
            weight[by_activity],
            config.alpha,
            config.max_overlap,
            np.uint64(config.seed + number),
            total,
        )
    pairs = sum(len(group) * (len(group) - 1) for group in groups)
    total *= np.float32(len(users) * (len(users) - 1) / max(pairs, 1))
    return total


@njit(parallel=True, cache=True)
def _add_group(
    rated: tuple[Ints, Ints],
    raters: tuple[Ints, Ints],
    weight: Doubles,
    alpha: float,
    max_overlap: int,
    seed: np.uint64,
    total: Floats,
) -> None:
    """Add what the pairs of a group of users contribute.

    Users are numbered by activity, items by popularity, both ascending, and so is each list of them. The
    matrices of a batch of users are computed side by side, then added row by row in the order of users: every
    sum has one order, whatever the number of threads.
    """
    item_ptr, item = rated
    n_users, n_items = len(item_ptr) - 1, len(raters[0]) - 1
    begin = np.zeros(n_users + 1, dtype=np.int64)  # where the matrix of each user lies among those of a batch
    first = 0
    while first < n_users:
        last = first
        while last < n_users and (last == first or begin[last] < BATCH):
            size = item_ptr[last + 1] - item_ptr[last]
            begin[last + 1] = (0 if last == first else begin[last]) + size * _padded(size)
            last += 1
        begin[first] = 0
        cells = np.zeros(begin[last], dtype=np.float32)
        for part in prange(PARTS):
            for u in range(first + part, last, PARTS):
                mine = item[item_ptr[u] : item_ptr[u + 1]]
                local = cells[begin[u] : begin[u + 1]].reshape((len(mine), _padded(len(mine))))
                _with_more_active(u, mine, raters, weight, alpha, max_overlap, seed, local)
        for part in prange(PARTS):
            for u in range(first, last):
                mine = item[item_ptr[u] : item_ptr[u + 1]]
                width = _padded(len(mine))
                for p in range(len(mine)):
                    if mine[p] % PARTS == part:
                        row = _row_begin(mine[p], n_items) - mine[p] - 1
                        own = begin[u] + p * width
                        for q in range(p + 1, len(mine)):
                            total[row + mine[q]] += cells[own + q]
        first = last


@njit(cache=True, inline="always")
def _padded(size: int) -> int:
    return -(-size // LANES) * LANES


@njit(cache=True, inline="always")
def _row_begin(row: int, n_items: int) -> int:
    """Where a row of the packed upper triangle begins, with the cell right of the diagonal."""
    return row * (2 * n_items - row - 1) // 2


@njit(cache=True)
def _with_more_active(
    u: int,
    mine: Ints,
    raters: tuple[Ints, Ints],
    weight: Doubles,
    alpha: float,
    max_overlap: int,
    seed: np.uint64,
    local: Floats,
) -> None:
    """Add c(u, v) over v > u to all pairs of shared items, over the positions p < q of u's own items.

    Below the diagonal is nonsense: columns begin at a multiple of LANES, so that loops are vectors.
    """
    user_ptr, user = raters
    n_users = len(weight)
    later = np.empty(len(mine), dtype=np.int64)  # first rater of each item more active than u
    overlap = np.zeros(n_users, dtype=np.int32)
    paths = 0
    for p in range(len(mine)):
        begin, end = user_ptr[mine[p]], user_ptr[mine[p] + 1]
        later[p] = begin + np.searchsorted(user[begin:end], u, side="right")
        paths += end - later[p]
        for v in user[later[p] : end]:
            overlap[v] += 1
    c, rank0 = _chosen(u, overlap, weight, alpha, max_overlap, seed)

    chosen = np.empty(
        paths, dtype=np.int32
    )  # the chosen users of each item, by their number among the chosen
    at, end = np.empty(len(mine), dtype=np.int64), np.empty(len(mine), dtype=np.int64)
    size = 0
    for p in range(len(mine)):
        at[p] = size
        for v in user[later[p] : user_ptr[mine[p] + 1]]:
            chosen[size] = rank0[v]
            size += rank0[v] >= 0
        end[p] = size

    block = np.zeros((USERS + 1, local.shape[1]), dtype=np.float32)  # c where v has the item; last row zeros
    stop = np.empty_like(at)
    for first in range(0, len(c), USERS):
        block[: min(USERS, len(c) - first)] = 0
        for p in range(len(mine)):
            k = at[p]
            while k < end[p] and chosen[k] < first + USERS:
                block[chosen[k] - first, p] = c[chosen[k]]
                k += 1
            stop[p] = k
        for p in range(len(mine)):
            _add_rows(local[p], block, chosen[at[p] : stop[p]], first, p)
            at[p] = stop[p]


@njit(cache=True)
def _chosen(
    u: int, overlap: Ints, weight: Doubles, alpha: float, max_overlap: int, seed: np.uint64
) -> tuple[Floats, Ints]:
    """c(u, v) of the users v that count, and the number of each user among them, -1 for the others.

    Those who share a single item have no pair of items in common. The others count by a chance that is
    inverse to their overlap.
    """
    c = np.empty(len(overlap), dtype=np.float32)
    rank0 = np.full(len(overlap), -1, dtype=np.int32)
    stream = mix(mix(seed + GOLDEN) + np.uint64(u) * GOLDEN)
    n = 0
    for v in range(u + 1, len(overlap)):
        if overlap[v] > 1:
            chance = min(1.0, max_overlap / overlap[v])
            if chance == 1 or unit(mix(stream + np.uint64(v) * GOLDEN)) < chance:
                c[n] = weight[u] * weight[v] / (alpha + overlap[v]) / chance
                rank0[v] = n
                n += 1
    return c[:n], rank0


@njit(cache=True)
def _add_rows(total: Floats, block: Floats, rows: Ints, first: int, start: int) -> None:
    """Add some rows of the block to the total from column start on, four at once to save stores.

    The block begins with row ``first``; its last row is zeros.
    """
    column = start // LANES * LANES
    into = total[column:]
    zeros, n = len(block) - 1, len(rows)
    for k in range(0, n, 4):
        a = block[rows[k] - first, column:]
        b = block[rows[k + 1] - first if k + 1 < n else zeros, column:]
        c = block[rows[k + 2] - first if k + 2 < n else zeros, column:]
        d = block[rows[k + 3] - first if k + 3 < n else zeros, column:]
        for q in range(len(into) // LANES * LANES):
            into[q] += (a[q] + b[q]) + (c[q] + d[q])


@njit(parallel=True, cache=True)
def _lists(
    total: Floats, among: Longs, n_items: int, n: int, damping: float
) -> tuple[Ints, Floats, Ints, Floats]:
    """The n items most similar to each item by s, and by s damped, with their similarities: (I, n) each."""
    blocks = (len(among) + ROWS - 1) // ROWS
    summed = np.empty(len(among))
    for block in prange(blocks):
        rows = _rows(total, block * ROWS, len(among))
        for row in range(len(rows)):
            summed[block * ROWS + row] = rows[row].astype(np.float64).sum()
    scale = np.ones(len(among), dtype=np.float32)
    for j in range(len(among)):
        if summed[j] > 0:
            scale[j] = summed[j] ** -damping
    item = np.full((2, n_items, n), -1, dtype=np.int32)
    score = np.full((2, n_items, n), -np.inf, dtype=np.float32)
    for block in prange(blocks):
        rows = _rows(total, block * ROWS, len(among))
        for row in range(len(rows)):
            i = among[block * ROWS + row]
            size = damped_size = 0
            for j in range(len(among)):
                s: float = rows[row, j]
                if s > 0:
                    size = offer(s, among[j], item[0, i], score[0, i], size)
                    damped_size = offer(s * scale[j], among[j], item[1, i], score[1, i], damped_size)
            best_first(item[0, i], score[0, i], size)
            best_first(item[1, i], score[1, i], damped_size)
    return item[0], score[0], item[1], score[1]


@njit(cache=True)
def _rows(total: Floats, first: int, n_items: int) -> Floats:
    """Rows ``first`` to ``first + ROWS`` of the symmetric matrix of a packed triangle, 0 on the diagonal."""
    last = min(first + ROWS, n_items)
    rows = np.zeros((last - first, n_items), dtype=np.float32)
    for p in range(last):
        begin = _row_begin(p, n_items) - p - 1
        for q in range(max(first, p + 1), last):  # the columns above these rows
            rows[q - first, p] = total[begin + q]
        if p >= first:
            rows[p - first, p + 1 :] = total[begin + p + 1 : begin + n_items]
    return rows
