"""One score of a row from the probabilities of several tasks, or what else is predicted of them.

The formula is a setting; its weights and other parameters are fitted on validation rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.dataset import Doubles, Floats, Longs
from models.rank.validation import metric_value, ranks0

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Weights of a task that are tried."""

EXPONENTS = (0.25, 0.5, 1.0, 1.5, 2.0)
"""Exponents of reciprocal ranks that are tried."""

OFFSETS = (0.0, 1.0, 10.0, 60.0, 300.0)
"""Offsets of reciprocal ranks that are tried."""

PASSES = 3
"""Times that each parameter is tried anew while the others stay."""


@dataclass(frozen=True)
class FusionConfig:
    """A formula that fuses the tasks into one score, and its fitted parameters."""

    formula: str = "boosted"
    """Name of the formula, in FORMULAS."""
    weights: tuple[float, ...] = (1.0,)
    """Weight of each task; the main task's is 1, since a common factor changes no order."""
    exponent: float = 1.0
    """Exponent of the ranks (reciprocal_rank only)."""
    offset: float = 60.0
    """Offset of the powers of ranks: the larger, the less the first ranks differ (reciprocal_rank only)."""


def main_task(n_tasks: int, formula: str = "boosted") -> FusionConfig:
    """The order of the main task alone."""
    return FusionConfig(formula, (1.0,) + (0.0,) * (n_tasks - 1))


def weighted_sum(probability: Doubles, query: Longs, config: FusionConfig) -> Doubles:
    """``sum of w_t p_t``."""
    total: Doubles = probability @ np.array(config.weights)
    return total


def boosted(probability: Doubles, query: Longs, config: FusionConfig) -> Doubles:
    """``p_1 (w_1 + sum of w_t p_t)``: the main task, and more where the other tasks follow from it."""
    weights = np.array(config.weights)
    boost: Doubles = weights[0] + probability[:, 1:] @ weights[1:]
    return probability[:, 0] * boost


def product(probability: Doubles, query: Longs, config: FusionConfig) -> Doubles:
    """``product of p_t ^ w_t``."""
    logs = np.log(np.maximum(probability, np.finfo(np.float64).tiny))
    powers: Doubles = np.exp(logs @ np.array(config.weights))
    return powers


def reciprocal_rank(probability: Doubles, query: Longs, config: FusionConfig) -> Doubles:
    """``sum of w_t / (rank_t ^ a + b)`` with ranks from 1 in the query's list by each task alone.

    Exponent 1 and offset 60 are those of Cormack, Clarke and Büttcher 2009,
    https://doi.org/10.1145/1571941.1572114.
    """
    ranks = np.stack([ranks0(column, query) + 1.0 for column in probability.T], axis=1)
    total: Doubles = (1 / (ranks**config.exponent + config.offset)) @ np.array(config.weights)
    return total


FORMULAS: dict[str, Callable[[Doubles, Longs, FusionConfig], Doubles]] = {
    "weighted_sum": weighted_sum,
    "boosted": boosted,
    "product": product,
    "reciprocal_rank": reciprocal_rank,
}
"""Formulas by name: probabilities (N, T) and queries (N,), non-decreasing, to scores (N,)."""


def fuse(probability: NDArray[np.floating], query: Longs, config: FusionConfig) -> Doubles:
    """The scores (N,) of rows with probabilities (N, T), by query."""
    return FORMULAS[config.formula](probability.astype(np.float64), query, config)


def fit_fusion(
    probability: NDArray[np.floating],
    label: Floats,
    query: Longs,
    formula: str = "boosted",
    given: Mapping[int, float] = MappingProxyType({}),
) -> FusionConfig:
    """The parameters of a formula with the best NDCG@10 of ``label`` (N,) on validation rows.

    Coordinate ascent over grids from the main task alone, and those tasks whose weight is ``given``, by
    number; the earlier of equally good values is kept.
    """
    best = main_task(probability.shape[1], formula)
    for task, weight in given.items():
        best = _with_weight(task, best, weight)
    best_ndcg = metric_value(label, fuse(probability, query, best), query, "ndcg")
    for _ in range(PASSES):
        for change, grid in _parameters(best, given):
            for value in grid:
                tried = change(best, value)
                ndcg = metric_value(label, fuse(probability, query, tried), query, "ndcg")
                if ndcg > best_ndcg:
                    best, best_ndcg = tried, ndcg
    return best


Change = Callable[[FusionConfig, float], FusionConfig]


def _parameters(config: FusionConfig, given: Mapping[int, float]) -> list[tuple[Change, Sequence[float]]]:
    """The fitted parameters: how a value is set, and the values that are tried."""
    parameters: list[tuple[Change, Sequence[float]]] = [
        (partial(_with_weight, task), WEIGHTS) for task in range(1, len(config.weights)) if task not in given
    ]
    if config.formula == "reciprocal_rank":
        parameters += [
            (lambda config, exponent: replace(config, exponent=exponent), EXPONENTS),
            (lambda config, offset: replace(config, offset=offset), OFFSETS),
        ]
    return parameters


def _with_weight(task: int, config: FusionConfig, weight: float) -> FusionConfig:
    weights = (*config.weights[:task], weight, *config.weights[task + 1 :])
    return replace(config, weights=weights)
