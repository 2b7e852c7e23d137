"""Treatment arms against a control: differences of watched fractions, with and without CUPED.

CUPED (Deng, Xu, Kohavi & Walker, WSDM 2013, https://doi.org/10.1145/2433396.2433413) takes out how users
differed before: with x_u of each user from before the first exposure,

    adjusted = difference - theta (mean x of the arm - mean x of the control),  theta = cov(l, x) / var(x),

where l is the part of a user in the error of the ratio, both within arms. Intervals and p-values are for one
look at a time that was fixed before, of one arm against the control.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chisquare, norm

from models.dataset import Doubles, Ints
from models.experiments.estimates import LEVEL, Estimate, linearised, ratio, standard_error

POWER = 0.8
"""Fraction of experiments in which the detectable difference would be found."""


@dataclass(frozen=True)
class Outcomes:
    """The users of all arms."""

    arm: Ints  # (U,) number of the arm
    n_exposures: Doubles  # (U,)
    n_watched: Doubles  # (U,) of them
    before: Doubles  # (U,) a number from before the first exposure


@dataclass(frozen=True)
class Comparison:
    """An arm against the control."""

    difference: Estimate
    """Difference of the watched fractions."""
    adjusted: Estimate
    """The same by CUPED."""

    @property
    def detectable(self) -> float:
        """The smallest difference that 4 of 5 such experiments would find, after CUPED."""
        return float(norm.ppf((1 + LEVEL) / 2) + norm.ppf(POWER)) * self.adjusted.standard_error


def watched_fraction(outcomes: Outcomes, arm: int) -> Estimate:
    """The fraction of the exposures of an arm that were watched."""
    mask = outcomes.arm == arm
    return ratio(outcomes.n_watched[mask], outcomes.n_exposures[mask])


def compare(outcomes: Outcomes, arm: int, control: int) -> Comparison:
    """An arm against the control; both have users."""
    fractions = [watched_fraction(outcomes, number) for number in (arm, control)]
    difference = fractions[0] - fractions[1]
    parts, befores = zip(*(_centred(outcomes, number) for number in (arm, control)), strict=True)
    means = [float(outcomes.before[outcomes.arm == number].mean()) for number in (arm, control)]
    theta = _slope(np.concatenate(parts), np.concatenate(befores))
    errors = [standard_error(part - theta * x) for part, x in zip(parts, befores, strict=True)]
    value = difference.value - theta * (means[0] - means[1])
    return Comparison(difference, Estimate(value, math.hypot(*errors)))


def sample_ratio(n_users: Sequence[int], fractions: Sequence[float]) -> float:
    """Probability of users at least as far from the fractions of the arms, if arms are what they should be.

    By chi-square; one of .001 or less says that the comparison cannot be trusted.
    """
    expected = sum(n_users) * np.array(fractions) / sum(fractions)
    return float(chisquare(n_users, expected).pvalue)


def _centred(outcomes: Outcomes, arm: int) -> tuple[Doubles, Doubles]:
    """(A,) each user's part in the error of the arm's ratio, and the number from before around its mean."""
    mask = outcomes.arm == arm
    before = outcomes.before[mask]
    return linearised(outcomes.n_watched[mask], outcomes.n_exposures[mask]), before - before.mean()


def _slope(part: Doubles, before: Doubles) -> float:
    variance = float(before @ before)
    return float(part @ before) / variance if variance else 0.0
