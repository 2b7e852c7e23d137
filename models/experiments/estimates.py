"""Ratios of sums over users, such as films watched of films shown, with the error that sampling users leaves.

The exposures of a user hang together, so users are the sample: a ratio of means R = a / b has the variance of

    (a_u - R b_u) / mean(b)

over the number of users, the delta method (Deng, Knoblich & Lu, KDD 2018, https://arxiv.org/abs/1803.06336).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from models.dataset import Doubles

LEVEL = 0.95
"""Coverage of intervals."""


@dataclass(frozen=True)
class Estimate:
    """An estimate with its standard error; nan where there is too little to tell."""

    value: float
    standard_error: float

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds between which the truth is in 95 of 100 such samples."""
        margin = float(norm.ppf((1 + LEVEL) / 2)) * self.standard_error
        return self.value - margin, self.value + margin

    @property
    def p_value(self) -> float:
        """Probability of a value at least as far from 0, if the truth is 0."""
        return float(2 * norm.sf(abs(self.value) / self.standard_error)) if self.standard_error else np.nan

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The difference to an estimate from other users."""
        error = math.hypot(self.standard_error, other.standard_error)
        return Estimate(self.value - other.value, error)


def ratio(numerator: Doubles, denominator: Doubles) -> Estimate:
    """The ratio of the sums of two values (U,) a user."""
    total = float(denominator.sum())
    if not total:
        return Estimate(np.nan, np.nan)
    value = float(numerator.sum()) / total
    return Estimate(value, standard_error(linearised(numerator, denominator)))


def linearised(numerator: Doubles, denominator: Doubles) -> Doubles:
    """(U,) the part of each user in the error of the ratio, of mean 0."""
    value = numerator.sum() / denominator.sum()
    part: Doubles = (numerator - value * denominator) / denominator.mean()
    return part


def standard_error(value: Doubles) -> float:
    """Standard error of the mean of values (U,); nan for fewer than two."""
    return float(value.std(ddof=1) / np.sqrt(len(value))) if len(value) > 1 else np.nan
