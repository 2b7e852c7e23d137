"""One score of a row from the probabilities of several tasks.

Which formula and which weights is a matter of config; weights are fitted on validation rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.dataset import Floats, Longs
from models.rank.validation import figure, places

Doubles = NDArray[np.float64]

RANK_OFFSET = 60
"""Of reciprocal ranks: how little the first places differ. Cormack, Clarke and Büttcher 2009,
https://doi.org/10.1145/1571941.1572114."""

GRID = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Weights that are tried."""

ROUNDS = 3
"""Times each weight is tried anew while the others stay."""


def weighted_sum(probability: Doubles, weights: Doubles, query: Longs) -> Doubles:
    """``sum of w_t p_t``."""
    return probability @ weights


def boosted(probability: Doubles, weights: Doubles, query: Longs) -> Doubles:
    """``p_1 (w_1 + sum of w_t p_t)``: the main task, and more where the other tasks follow from it."""
    boost: Doubles = weights[0] + probability[:, 1:] @ weights[1:]
    return probability[:, 0] * boost


def product(probability: Doubles, weights: Doubles, query: Longs) -> Doubles:
    """``product of p_t ^ w_t``."""
    powers: Doubles = np.exp(np.log(np.maximum(probability, np.finfo(np.float64).tiny)) @ weights)
    return powers


def reciprocal_rank(probability: Doubles, weights: Doubles, query: Longs) -> Doubles:
    """``sum of w_t / (60 + place_t)`` with places from 1 in the list of the query by each task alone."""
    ranks = np.stack([places(column, query) + 1 for column in probability.T], axis=1)
    return (1 / (RANK_OFFSET + ranks)) @ weights


FORMULAS: dict[str, Callable[[Doubles, Doubles, Longs], Doubles]] = {
    "weighted_sum": weighted_sum,
    "boosted": boosted,
    "product": product,
    "reciprocal_rank": reciprocal_rank,
}
"""From probabilities (N, T), weights (T,) and queries (N,) non-decreasing to scores (N,)."""


@dataclass(frozen=True)
class FusionConfig:
    """How the tasks become one score."""

    formula: str = "boosted"
    """A name of FORMULAS."""
    weights: tuple[float, ...] = (1.0,)
    """One a task; the main task's is 1, since a common factor changes no order."""


def fuse(probability: NDArray[np.floating], query: Longs, config: FusionConfig) -> Doubles:
    """The scores (N,) of rows with probabilities (N, T), by query."""
    weights = np.array(config.weights, dtype=np.float64)
    return FORMULAS[config.formula](probability.astype(np.float64), weights, query)


def fit_fusion(
    probability: NDArray[np.floating], label: Floats, query: Longs, formula: str = "boosted"
) -> FusionConfig:
    """The weights of a formula with the best NDCG@10 of ``label`` (N,) on validation rows.

    Coordinate ascent over GRID from the main task alone; the earlier of equally good weights is kept.
    """
    best = FusionConfig(formula, (1.0,) + (0.0,) * (probability.shape[1] - 1))
    value = figure(label, fuse(probability, query, best), query, "ndcg")
    for _ in range(ROUNDS):
        for task in range(1, probability.shape[1]):
            for weight in GRID:
                weights = (*best.weights[:task], weight, *best.weights[task + 1 :])
                tried = replace(best, weights=weights)
                ndcg = figure(label, fuse(probability, query, tried), query, "ndcg")
                if ndcg > value:
                    best, value = tried, ndcg
    return best
