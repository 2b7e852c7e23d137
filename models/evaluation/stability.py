"""How far one release is from another, and how far chance alone would take it."""

import math

import numpy as np
from numba import njit, prange
from scipy.special import chdtri

from models.dataset import Doubles, Longs
from models.state import State

PERSISTENCE = 0.9
"""Probability with which a reader goes on to the next rank: the first ten have 86 % of the weight."""


def psi(before: Longs, after: Longs) -> float:
    """Population stability index of two histograms (B,) over the same bins: 0 where they are alike.

    ``sum((q - p) * ln(q / p))``, the symmetric Kullback-Leibler divergence; a bin counts half an event more,
    so that an empty one is finite. Siddiqi 2006, Credit Risk Scorecards, calls 0.1 to 0.25 a slight change
    and more a large one.
    """
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (before, after))
    return float(((q - p) * np.log(q / p)).sum())


def psi_by_chance(n_bins: int, n_before: int, n_after: int, probability: float = 0.001) -> float:
    """The PSI that samples of one distribution exceed with a probability.

    Of so many independent units a sample, PSI is ``(1/n_before + 1/n_after) * chi2(n_bins - 1)``: Yurdakul
    and Naranjo 2020, https://doi.org/10.21314/JRMV.2020.227.
    """
    return float((1 / n_before + 1 / n_after) * chdtri(n_bins - 1, probability))


def overlap(before: Longs, after: Longs) -> Doubles:
    """(U,) the fraction of the items of the longer of two lists that both have; (U, k) each, padded with -1.

    nan where both are empty.
    """
    return _overlap(before, after)


@njit(parallel=True, cache=True)
def _overlap(before: Longs, after: Longs) -> Doubles:
    found = np.full(len(before), np.nan)
    for row in prange(len(before)):
        longest = max((before[row] >= 0).sum(), (after[row] >= 0).sum())
        common = 0
        for item in after[row]:
            if item >= 0 and (before[row] == item).any():
                common += 1
        if longest:
            found[row] = common / longest
    return found


def rank_biased_overlap(before: Longs, after: Longs, persistence: float = PERSISTENCE) -> Doubles:
    """(U,) how alike two rankings are, early ranks first; (U, k) each, padded with -1 at the end.

    Extrapolated rank-biased overlap of lists of lengths s <= l, with X(d) common items among the first d:

        RBO = (1 - p) / p (sum_{d=1..l} X(d) / d p^d + sum_{d=s+1..l} X(s) (d - s) / (s d) p^d)
              + ((X(l) - X(s)) / l + X(s) / s) p^l

    Webber, Moffat and Zobel 2010, https://doi.org/10.1145/1852102.1852106, equation 32. It is no truncated
    sum: beyond the end of a list its agreement is taken to go on as it was there, so equal lists have 1 and
    disjoint ones 0 at any length. nan where both are empty.
    """
    return _rank_biased_overlap(before, after, persistence)


@njit(parallel=True, cache=True)
def _rank_biased_overlap(before: Longs, after: Longs, p: float) -> Doubles:
    found = np.full(len(before), np.nan)
    for row in prange(len(before)):
        n_before, n_after = (before[row] >= 0).sum(), (after[row] >= 0).sum()
        shorter, longer = min(n_before, n_after), max(n_before, n_after)
        if not longer:
            continue
        if not shorter:
            found[row] = 0.0
            continue
        common, common_shorter, total = 0, 0, 0.0
        for depth in range(1, longer + 1):
            one = before[row, depth - 1] if depth <= n_before else -1
            other = after[row, depth - 1] if depth <= n_after else -1
            if one >= 0 and one == other:
                common += 1
            else:
                common += one >= 0 and (after[row, : depth - 1] == one).any()
                common += other >= 0 and (before[row, : depth - 1] == other).any()
            if depth <= shorter:
                common_shorter = common
            beyond = common_shorter * max(depth - shorter, 0) / shorter
            total += (common + beyond) / depth * p**depth
        end = (common - common_shorter) / longer + common_shorter / shorter
        found[row] = (1 - p) / p * total + end * p**longer
    return found


def change_by_chance(before: float, n_before: int, after: float, n_after: int, deviations: float) -> float:
    """The largest change of a mean of values in [0, 1] that chance explains, on the safe side.

    The variance of values in [0, 1] with mean m is m (1 - m) at most (Bhatia and Davis 2000,
    https://doi.org/10.1080/00029890.2000.12005203), so the means alone give an interval of two independent
    samples; the same users twice vary less.
    """
    variance = before * (1 - before) / n_before + after * (1 - after) / n_after
    return deviations * math.sqrt(max(variance, 0.0))


def log_deviations(earlier: Doubles, now: float, least_spread: float) -> float:
    """By how many robust standard deviations the log of a number is above those of earlier ones (N,).

    The centre is the median, the standard deviation 1.4826 times the median absolute deviation, at least
    ``least_spread``: Hampel 1974, https://doi.org/10.1080/01621459.1974.10482962.
    """
    logs = np.log1p(earlier)
    centre = np.median(logs)
    spread = 1.4826 * float(np.median(np.abs(logs - centre)))
    return float((np.log1p(now) - centre) / max(spread, least_spread))


def defect(state: State) -> str | None:
    """The reason why a state cannot be one that was learned; None if there is none.

    Of a network, whose parameters are ``weight.NAME``: one that is no finite number, or all of them 0. What
    else a state holds may be either, such as the mean of a feature that nobody has.
    """
    weights = {name: array for name, array in state.items() if ".weight." in f".{name}"}
    for name, array in weights.items():
        if not np.isfinite(array).all():
            return f"{name} has values that are no finite numbers"
    if weights and not any(array.any() for array in weights.values()):
        return "all weights are 0"
    return None
