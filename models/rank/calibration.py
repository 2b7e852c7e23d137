"""Calibration: from scores to probabilities, and the error of these."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.dataset import Doubles, Floats, Longs

BINS = 20
"""Bins of the expected calibration error, with equally many rows each."""


def undo_sampling(probability: NDArray[np.floating], negative_rate: float) -> Doubles:
    """Probabilities over all negatives, from those of a model trained on a fraction of them.

    ``q = p / (p + (1 - p) / negative_rate)``. He et al. 2014, https://doi.org/10.1145/2648584.2648589,
    section 6.3.
    """
    p = probability.astype(np.float64)
    return p / (p + (1 - p) / negative_rate)


@dataclass(frozen=True)
class Isotonic:
    """The non-decreasing step function nearest to the labels, linear between its steps.

    Zadrozny and Elkan 2002, https://doi.org/10.1145/775047.775151.
    """

    score: Doubles  # (K,) ascending
    value: Doubles  # (K,) non-decreasing

    def __call__(self, score: NDArray[np.floating]) -> Doubles:
        """(N,) calibrated probabilities of scores; constant beyond those it was fitted on."""
        calibrated: Doubles = np.interp(score, self.score, self.value)
        return calibrated


def fit_isotonic(label: Floats, score: NDArray[np.floating]) -> Isotonic:
    """The function fitted to the labels (N,) of scores (N,), at least one."""
    from scipy.optimize import isotonic_regression

    distinct, group = np.unique(score.astype(np.float64), return_inverse=True)
    total = np.bincount(group).astype(np.float64)
    fitted = isotonic_regression(np.bincount(group, label) / total, weights=total).x
    # The ends of a block of equal values are enough.
    inner = np.zeros(len(fitted), dtype=np.bool_)
    inner[1:-1] = (fitted[1:-1] == fitted[:-2]) & (fitted[1:-1] == fitted[2:])
    return Isotonic(distinct[~inner], fitted[~inner])


@dataclass(frozen=True)
class Reliability:
    """Predicted and observed rates of positives, in bins of equally many rows: a reliability plot."""

    predicted: Doubles  # (bins,) mean probability
    observed: Doubles  # (bins,) fraction of rows that are positive
    count: Longs  # (bins,) rows

    @property
    def error(self) -> float:
        """Expected calibration error: the mean of ``|observed - predicted|`` over all rows."""
        return float(np.average(np.abs(self.observed - self.predicted), weights=self.count))


def reliability(label: Floats, probability: NDArray[np.floating], bins: int = BINS) -> Reliability:
    """Rows (N,) sorted by probability and cut into at most ``bins`` bins; equal ones share a bin.

    Naeini, Cooper and Hauskrecht 2015, https://ojs.aaai.org/index.php/AAAI/article/view/9602, with bins of
    equal mass.
    """
    _, group, ties = np.unique(probability, return_inverse=True, return_counts=True)
    middle = np.cumsum(ties) - ties / 2
    bin_of_value = np.floor(middle * bins / len(label)).astype(np.int64)
    _, row_bin = np.unique(bin_of_value[group], return_inverse=True)
    count = np.bincount(row_bin)
    return Reliability(np.bincount(row_bin, probability) / count, np.bincount(row_bin, label) / count, count)
