"""Sequential linear model: the next items regressed in closed form on a decayed recent history.

SLIST / SLIT of Choi et al., "Session-aware Linear Item-Item Models for Session-based Recommendation"
(WWW 2021, https://arxiv.org/abs/2103.16104), with several decays side by side. At each position of each
user's log the input x holds, once for each decay d, the items up to there, the k-th newest weighing
exp(-k / d); the target y holds the items after it, the k-th next weighing exp(-k / target_decay). Then

    W = (X'X + l2 I)^-1 X'Y        and the score of a history is x W.

X and Y are never built. Two events of one user add to X'X and X'Y a weight that depends only on how far
apart they are and on how many positions follow the later one, so one pass over the pairs of near events
fills both matrices, each item's row by one thread: deterministic, and the row stays in the cache.
"""

from typing import Annotated, Self

import numpy as np
from numba import njit, prange
from pydantic import Field, PositiveInt
from scipy.linalg import cho_factor, cho_solve

from models.bounds import Positive
from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Queries
from models.history import decayed_history, reach
from models.neighbours import nearest
from models.recall.contract import Tables
from models.state import State
from models.top_n import recommend_by_score

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


class SequentialLinear:
    """Closed-form next-item regression.

    State: ``weight`` (D, I, I), from the item in the history to the item scored, for each of D decays;
    ``has_events`` (I,) bool, the items of the log it was fitted on, the only ones it recommends.
    """

    def __init__(self, config: SequentialLinearConfig = SequentialLinearConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        gram, cross = normal_equations(dataset, self.config)
        gram[np.diag_indices_from(gram)] += self.config.l2
        factor = cho_factor(gram.T, overwrite_a=True, check_finite=False)
        weight = cho_solve(factor, cross.T, overwrite_b=True, check_finite=False)  # (D * I, I)
        has_events = np.bincount(dataset.item_idx, minlength=dataset.n_items) > 0
        shape = (len(self.config.decays), dataset.n_items, dataset.n_items)
        self.state = {"weight": np.ascontiguousarray(weight).reshape(shape), "has_events": has_events}
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        among = self.state["has_events"]
        return recommend_by_score(self._score, queries, n, filter_seen, among=among, needs_history=True)

    def tables(self) -> Tables:
        """The likely next items of a history of one item: its weights in all blocks together."""
        follows = self.state["weight"].sum(axis=0)
        np.fill_diagonal(follows, 0)
        return Tables(item_similarity=nearest(follows, self.config.n_neighbours))

    def _score(self, queries: Queries) -> Floats:
        score = np.zeros((len(queries), len(self.state["has_events"])), dtype=np.float32)  # (B, I)
        for decay, weight in zip(self.config.decays, self.state["weight"], strict=True):
            score += decayed_history(queries, decay, reach(decay, NEAR)) @ weight
        return score


def normal_equations(dataset: Dataset, config: SequentialLinearConfig) -> tuple[Floats, Floats]:
    """X'X (D * I, D * I) and Y'X (I, D * I) over all positions that have a next event."""
    order = np.argsort(dataset.item_idx, kind="stable")
    bounds = np.searchsorted(dataset.item_idx[order], np.arange(dataset.n_items + 1))
    half, cross = _pair_sums(
        order,
        bounds,
        dataset.indptr[dataset.user_idx],
        dataset.indptr[dataset.user_idx + 1],
        dataset.item_idx,
        *_pair_weights(config),
    )
    return half + half.T, cross


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


@njit(parallel=True, cache=True)
def _pair_sums(
    order: Longs, bounds: Longs, start: Longs, end: Longs, item: Ints, gram: Doubles, cross: Doubles
) -> tuple[Floats, Floats]:
    """Pair weights summed by the later event's item (rows) and the earlier event's item (columns)."""
    n_items, n_decays = len(bounds) - 1, cross.shape[1]
    max_later, max_lag = gram.shape[1] - 1, len(cross) - 1
    half = np.empty((n_decays * n_items, n_decays * n_items), dtype=np.float32)
    across = np.empty((n_items, n_decays * n_items), dtype=np.float32)
    for row in prange(n_items):
        half_row = np.zeros((n_decays, n_decays * n_items))
        across_row = np.zeros(n_decays * n_items)
        for event in order[bounds[row] : bounds[row + 1]]:
            later = min(end[event] - 1 - event, max_later)
            for lag in range(min(event - start[event], max_lag) + 1):
                for b in range(n_decays):
                    column = b * n_items + item[event - lag]
                    across_row[column] += cross[lag, b]
                    if lag < len(gram):
                        for a in range(n_decays):
                            half_row[a, column] += gram[lag, later, a, b]
        across[row] = across_row
        for a in range(n_decays):
            half[a * n_items + row] = half_row[a]
    return half, across
