"""User-clustered bootstrap: percentile intervals of ratios, of their paired differences, and of AUC.

The events of one user hang together, so users are resampled, not events (Efron and Tibshirani 1993,
chapters 8 and 13). A resample is a vector of multinomial weights over users: every metric that is a ratio
of sums over users, a mean as well, becomes two matrix products for all resamples at once. Equal seeds and
equal numbers of users give equal weights, so differences of two calls are paired.
"""

from collections.abc import Iterator

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from models.bounds import Between
from models.config import Config
from models.dataset import Doubles, Ints, Longs, Mask

BLOCK = 1 << 22
"""Weights drawn at once: 32 MB."""


class BootstrapConfig(Config):
    """The resamples of users that intervals are taken from."""

    resamples: NonNegativeInt = 1000
    """Number of resamples of the users; 0 leaves the intervals out."""
    level: Between = 0.95
    """Coverage that the intervals aim at."""
    seed: int = 0
    """Seed of the resamples."""


def user_weights(n_users: int, config: BootstrapConfig) -> Iterator[Longs]:
    """Blocks (r, U) of how often each user is drawn; the rows of all blocks are the resamples."""
    rng = np.random.default_rng(config.seed)
    block = max(1, BLOCK // max(n_users, 1))
    for begin in range(0, config.resamples, block):
        r = min(block, config.resamples - begin)
        drawn = rng.integers(0, n_users, (r, n_users)) + np.arange(r)[:, None] * n_users
        yield np.bincount(drawn.ravel(), minlength=r * n_users).reshape(r, n_users)


def resampled_ratios(numerator: Doubles, denominator: Doubles, config: BootstrapConfig) -> Doubles:
    """(R, M) ratios of M metrics in each resample, from their sums a user, (U, M) each.

    nan where a resample has nothing to divide by (a small slice whose users were not drawn).
    """
    sums = np.concatenate([numerator, denominator], axis=1)
    drawn = np.empty((config.resamples, sums.shape[1]))
    done = 0
    for weights in user_weights(len(sums), config):
        drawn[done : done + len(weights)] = weights @ sums
        done += len(weights)
    top, bottom = np.split(drawn, 2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios: Doubles = top / bottom
    return ratios


def percentile_interval(resampled: Doubles, level: float) -> tuple[Doubles, Doubles]:
    """(M,) lower and upper bounds of (R, M) resampled statistics, of which nan ones are left out."""
    tail = (1 - level) / 2
    bounds = np.full((2, resampled.shape[1]), np.nan)
    defined = np.isfinite(resampled).any(axis=0)
    bounds[:, defined] = np.nanquantile(resampled[:, defined], [tail, 1 - tail], axis=0)
    return bounds[0], bounds[1]


def resampled_auc(
    label: NDArray[np.generic], score: NDArray[np.generic], user_idx: Ints, config: BootstrapConfig
) -> Doubles:
    """(R,) AUC in each resample of users; nan where a class is missing."""
    order = np.argsort(score, kind="stable")
    users, user = np.unique(user_idx[order], return_inverse=True)
    ordered = score[order]
    last_of_tie = np.append(ordered[1:] != ordered[:-1], True)
    positive = label[order].astype(np.bool_)
    area = [
        _weighted_auc(positive, last_of_tie, user, weights) for weights in user_weights(len(users), config)
    ]
    return np.concatenate([np.empty(0), *area])


@njit(parallel=True, cache=True)
def _weighted_auc(positive: Mask, last_of_tie: Mask, user: Longs, weights: Longs) -> Doubles:
    """Rows by ascending score; each row counts as often as its user was drawn."""
    area = np.full(len(weights), np.nan)
    for resample in prange(len(weights)):
        pairs, below, above = 0.0, 0.0, 0.0  # above: positives so far
        tied_positive, tied_negative = 0.0, 0.0
        for row in range(len(positive)):
            weight = weights[resample, user[row]]
            if positive[row]:
                tied_positive += weight
            else:
                tied_negative += weight
            if last_of_tie[row]:
                pairs += tied_positive * (below + tied_negative / 2)
                below += tied_negative
                above += tied_positive
                tied_positive, tied_negative = 0.0, 0.0
        if above and below:
            area[resample] = pairs / (above * below)
    return area
