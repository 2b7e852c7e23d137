"""Sequential linear model: the next items regressed in closed form on a decayed recent history.

SLIST / SLIT of Choi et al., "Session-aware Linear Item-Item Models for Session-based Recommendation"
(WWW 2021, https://arxiv.org/abs/2103.16104), with several decays side by side. At each position of each
user's log the input x holds, once for each decay d, the items up to there, the k-th newest weighing
exp(-k / d); the target y holds the items after it, the k-th next weighing exp(-k / target_decay). Then

    W = (X'X + l2 I)^-1 X'Y        and the score of a history is x W.

X and Y are never built. Two events of one user add to X'X and X'Y a weight that depends only on how far
apart they are and on how many positions follow the later one, so a pass over the pairs of near events fills
either, each item's row by one thread: deterministic, and the row stays in the cache. X and Y have the columns
of the most rated items only, X'Y is made and solved for a block of items at a time, and of each row of W its
largest weights are read (:mod:`models.closed_form`).
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, NamedTuple, Self

import numpy as np
from numba import njit, prange
from pydantic import Field, PositiveInt
from scipy.linalg import lapack
from scipy.sparse import csr_array, eye_array, hstack

from models.bounds import Positive
from models.candidates import Candidates
from models.closed_form import BLOCK, among_all, factorise, largest_weights, most_rated, renumbered
from models.config import Config
from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Queries
from models.history import decayed_history, reach
from models.neighbours import nearest_by_product
from models.recall.contract import Tables
from models.sparse_product import recommend_by_product, sparse_from_state, sparse_state
from models.state import State

NEAR = 5.0
"""Decays after which an event is left out: it would weigh e^-5, less than 1 %, and every pair costs time."""


class SequentialLinearConfig(Config):
    """Shape of the history and of the target, and the strength of the regularisation."""

    decays: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1.0, 15.0)
    """Events after which an input weighs 1/e, one block of inputs each; memory grows as their square."""
    target_decay: Positive = 1.0
    """Events after which a target weighs 1/e."""
    l2: Positive = 300.0
    """Weight of the squared norm, in squared input weights: added to the diagonal of X'X."""
    n_neighbours: PositiveInt = 200
    """Likely next items published for each item."""
    n_weights: PositiveInt = 500
    """Weights of each item and decay that stay, those of largest absolute value."""
    memory_gib: Positive = 2.25
    """GiB of X'X: 4 bytes by the squared numbers of decays and of items read, the most rated ones."""
    max_work: Positive = 1e5
    """Cube of the number of items read, for each rating, at most: the solution costs as the ratings do."""

    only_answers: ClassVar[frozenset[str]] = frozenset({"n_neighbours"})


class SequentialLinear:
    """Closed-form next-item regression.

    State: ``weight_*``, sparse (D * I, I), from the item in the history to the item scored, a block of rows
    for each of D decays; ``covered``, the fraction of the log's events whose items are read and recommended.
    """

    def __init__(self, config: SequentialLinearConfig = SequentialLinearConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        config, n_decays = self.config, len(self.config.decays)
        items, covered = most_rated(dataset, config.memory_gib, 4 * n_decays**2, config.max_work)
        targets = _targets(_events(dataset, items), config)
        column, weight = largest_weights(targets, n_decays * len(items), len(items), config.n_weights)
        self.state = sparse_state("weight", among_all(column, weight, items, dataset.n_items, n_decays))
        self.state["covered"] = np.array(covered)
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        return recommend_by_product(self._history, self._weight(), queries, n, filter_seen)

    def tables(self) -> Tables:
        """The likely next items of a history of one item: its weights in all blocks together."""
        weight = self._weight()
        each = eye_array(weight.shape[1], dtype=np.float32, format="csr")
        each = hstack([each] * len(self.config.decays), format="csr")
        return Tables(item_similarity=nearest_by_product(each, weight, self.config.n_neighbours))

    def _history(self, queries: Queries) -> csr_array:
        """(B, D * I)."""
        blocks = [decayed_history(queries, decay, reach(decay, NEAR)) for decay in self.config.decays]
        return hstack(blocks, format="csr")

    def _weight(self) -> csr_array:
        n_rows = len(self.state["weight_indptr"]) - 1
        return sparse_from_state("weight", self.state, n_rows // len(self.config.decays))


class _Events(NamedTuple):
    """A log of n items: those of each item, and the user's events around each."""

    order: Ints  # the events of items, item by item
    bounds: Longs  # (n + 1,) where those of each item begin
    item: Ints  # (E,) -1 for another item, which keeps its position in the history
    user: Ints  # (E,)
    indptr: Longs  # (U + 1,)


def _events(log: Dataset, items: Ints) -> _Events:
    item = renumbered(log, items)
    return _Events(*_by_item(item, len(items)), item, log.user_idx, log.indptr)


def _targets(events: _Events, config: SequentialLinearConfig) -> Iterator[Floats]:
    """The columns of W by blocks, (b, D * n)."""
    n_items = len(events.bounds) - 1
    gram, cross = _pair_weights(config)
    half = _gram(events, gram)
    _fold(half)
    if n_items:
        factorise(half, config.l2)
    for begin in range(0, n_items, BLOCK):
        block = _cross(events, cross, begin, min(begin + BLOCK, n_items))
        lapack.spotrs(half.T, block.T, lower=False, overwrite_b=True)
        yield block


def _fold(half: Floats) -> None:
    """Add the upper triangle to the lower one, its transpose, in place."""
    for begin in range(0, len(half), BLOCK):
        end = begin + BLOCK
        half[begin:end, :end] += half[:end, begin:end].T


def _reach(decay: float) -> int:
    """Events that a history or target of this decay holds."""
    return reach(decay, NEAR) or 0


def _decayed(decay: float, length: int) -> Doubles:
    """(length,) weights of the nearest events."""
    distance = np.arange(length)
    return np.where(distance < _reach(decay), np.exp(-distance / decay), 0)


def _pair_weights(config: SequentialLinearConfig) -> tuple[Doubles, Doubles]:
    """Weights that a pair of events of one user adds, by how far apart they are.

    ``gram`` (lag, later, D, D): to X'X, for the later event's decay and the earlier event's, when ``later``
    positions hold both. ``cross`` (lag, D): to X'Y; lag 0 is no pair.
    """
    n_decays, reach = len(config.decays), max(map(_reach, config.decays))
    source = np.array([_decayed(decay, reach) for decay in config.decays])  # (D, reach)
    target = _decayed(config.target_decay, _reach(config.target_decay))
    gram = np.zeros((reach, reach + 1, n_decays, n_decays))
    for lag in range(reach):
        both = np.einsum("ak,bk->kab", source[:, : reach - lag], source[:, lag:])
        gram[lag, 1 : reach - lag + 1] = both.cumsum(axis=0)
        gram[lag, reach - lag + 1 :] = gram[lag, reach - lag]
    gram[0] /= 2  # an event's pair with itself is counted once in each triangle
    cross = np.zeros((reach + len(target), n_decays))
    cross[1:] = np.transpose([np.convolve(row, target) for row in source])
    return gram, cross


@njit(cache=True)
def _by_item(item: Ints, n_items: int) -> tuple[Ints, Longs]:
    """The events of each item in their order, and where those of each begin; fewer than 2^31."""
    bounds = np.zeros(n_items + 1, dtype=np.int64)
    for event in range(len(item)):
        if item[event] >= 0:
            bounds[item[event] + 1] += 1
    bounds = bounds.cumsum()
    order = np.empty(bounds[-1], dtype=np.int32)
    end = bounds[:-1].copy()
    for event in range(len(item)):
        if item[event] >= 0:
            order[end[item[event]]] = event
            end[item[event]] += 1
    return order, bounds


@njit(parallel=True, cache=True)
def _gram(events: _Events, weight: Doubles) -> Floats:
    """Pair weights summed by the later event's item and decay (rows) and the earlier event's (columns)."""
    order, bounds, item, user, indptr = events
    n_items, n_decays = len(bounds) - 1, weight.shape[2]
    max_lag, max_later = len(weight) - 1, weight.shape[1] - 1
    half = np.empty((n_decays * n_items, n_decays * n_items), dtype=np.float32)
    for row in prange(n_items):
        sums = np.zeros((n_decays, n_decays * n_items))
        for event in order[bounds[row] : bounds[row + 1]]:
            later = min(indptr[user[event] + 1] - 1 - event, max_later)
            for lag in range(min(event - indptr[user[event]], max_lag) + 1):
                earlier = item[event - lag]
                if earlier >= 0:
                    for b in range(n_decays):
                        for a in range(n_decays):
                            sums[a, b * n_items + earlier] += weight[lag, later, a, b]
        for a in range(n_decays):
            half[a * n_items + row] = sums[a]
    return half


@njit(parallel=True, cache=True)
def _cross(events: _Events, weight: Doubles, first: int, last: int) -> Floats:
    """Rows ``first`` to ``last`` of Y'X: pair weights by the later event's item and the earlier event's."""
    order, bounds, item, user, indptr = events
    n_items, n_decays = len(bounds) - 1, weight.shape[1]
    cross = np.empty((last - first, n_decays * n_items), dtype=np.float32)
    for row in prange(last - first):
        sums = np.zeros(n_decays * n_items)
        for event in order[bounds[first + row] : bounds[first + row + 1]]:
            for lag in range(1, min(event - indptr[user[event]], len(weight) - 1) + 1):
                earlier = item[event - lag]
                if earlier >= 0:
                    for b in range(n_decays):
                        sums[b * n_items + earlier] += weight[lag, b]
        cross[row] = sums
    return cross
