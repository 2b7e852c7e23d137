"""Films that were shown, in the training of rankers: ignored ones as negatives, low positions made up for.

A candidate that was shown after its query and never watched is a negative that the user has decided on; of
the others nobody knows whether they were seen. So more of the former are learned from.

Who looks at a list looks at its beginning: a film is watched if it is examined at its rank k and wanted,

    P(watched | i, k) = theta_k gamma_i        (the position-based model, Craswell et al. 2008)

A film that was watched at rank k weighs 1 / theta_k, up to a bound (inverse propensity weights: Joachims,
Swaminathan & Schnabel 2017, https://doi.org/10.1145/3018661.3018699). theta is estimated from the log of
exposures by expectation-maximisation (Wang et al. 2018, https://doi.org/10.1145/3159652.3159732; with one
gamma a film in place of a regression), which needs films that were shown at several ranks.
"""

import numpy as np
from numba import njit, prange

from models.dataset import DAY, Dataset, Doubles, Ints, Longs, Mask, Queries
from models.exposures import ExposureConfig, ExposureLog
from models.rank.candidates import Emphasis, Pool, is_target
from models.targets import Targets

MAX_RANK = 50
"""Ranks from which on all count as one."""

ROUNDS = 200
"""Rounds of expectation-maximisation."""

PRIOR = 1.0
"""Exposures of the mean film that a film's gamma, and of the mean rank that a rank's theta, starts with."""


def emphasis(
    pool: Pool, targets: Targets, answers: Dataset, exposures: ExposureLog, config: ExposureConfig
) -> Emphasis:
    """The emphasis by what was shown; ``answers`` has the ratings of the targets, and later ones."""
    rank = first_rank(exposures, pool.queries, pool.merged.item, config.window_days)
    watched = is_target(pool.merged.item, targets)
    seen = _is_rated(answers.indptr, answers.item_idx, pool.queries.user_idx, pool.merged.item)
    theta = examination(exposures, answers, config.window_days)
    inverse = np.minimum(1 / theta, config.max_weight)
    weight = np.where(watched & (rank > 0), inverse[np.clip(rank, 1, MAX_RANK) - 1], 1.0)
    return Emphasis((rank >= 0) & ~watched & ~seen, config.negative_rate, weight.astype(np.float32))


def first_rank(exposures: ExposureLog, queries: Queries, item: Ints, days: float) -> Ints:
    """(B, n) the rank at which each item was first shown in the days from the query on.

    0 where that is unknown, -1 where the item was not shown.
    """
    begin, end = (np.searchsorted(exposures.user_idx, queries.user_idx, side) for side in ("left", "right"))
    until = queries.at + int(days * DAY)
    return _first_rank(
        (exposures.item_idx, exposures.at, exposures.rank), begin, end, queries.at, until, item
    )


def examination(exposures: ExposureLog, log: Dataset, days: float) -> Doubles:
    """(MAX_RANK,) theta of each rank, that of the first is 1; all 1 where no rank is known.

    An exposure counts as watched if the user rated the film in the days from then on.
    """
    ranked = exposures.rank > 0
    user, item, at = exposures.user_idx[ranked], exposures.item_idx[ranked], exposures.at[ranked]
    watched = _watched(log.indptr, log.item_idx, log.at, user, item, at, int(days * DAY))
    rank0 = np.minimum(exposures.rank[ranked], MAX_RANK) - 1
    return fit_positions(rank0, item, watched)


def fit_positions(rank0: Ints, item: Ints, watched: Mask) -> Doubles:
    """(MAX_RANK,) theta by the rank0, item, and outcome of exposures (N,) each; a rank never seen has that of
    the one before it.
    """
    if not watched.any():
        return np.ones(MAX_RANK)
    theta = np.where(np.arange(MAX_RANK) == 0, 1.0, 0.5)  # of ones no round would move any
    gamma = np.full(int(item.max()) + 1, watched.mean())
    n_rank, n_item = (np.bincount(x, minlength=n) for x, n in ((rank0, MAX_RANK), (item, len(gamma))))
    for _ in range(ROUNDS):
        both = theta[rank0] * gamma[item]
        unwatched = ~watched / np.maximum(1 - both, 1e-9)
        examined = watched + unwatched * theta[rank0] * (1 - gamma[item])
        wanted = watched + unwatched * gamma[item] * (1 - theta[rank0])
        mean = wanted.mean()
        theta = (np.bincount(rank0, examined, MAX_RANK) + PRIOR * theta) / (n_rank + PRIOR)
        gamma = (np.bincount(item, wanted, len(gamma)) + PRIOR * mean) / (n_item + PRIOR)
        theta, gamma = theta / theta[0], np.minimum(gamma * theta[0], 1 - 1e-9)
    last = np.maximum.accumulate(np.where(n_rank > 0, np.arange(MAX_RANK), 0))
    filled: Doubles = np.minimum(theta, 1)[last]
    return filled


@njit(parallel=True, cache=True)
def _first_rank(
    log: tuple[Ints, Longs, Ints], begin: Longs, end: Longs, since: Longs, until: Longs, item: Ints
) -> Ints:
    log_item, log_at, log_rank = log
    found = np.full(item.shape, -1, dtype=np.int32)
    for query in prange(len(item)):
        for row in range(begin[query], end[query]):
            if since[query] <= log_at[row] < until[query]:
                for column in range(item.shape[1]):
                    if item[query, column] == log_item[row] and found[query, column] < 0:
                        found[query, column] = log_rank[row]
    return found


@njit(parallel=True, cache=True)
def _is_rated(indptr: Longs, log_item: Ints, user: Ints, item: Ints) -> Mask:
    """(B, n) whether the user of each row has an event of the item, at any time."""
    found = np.zeros(item.shape, dtype=np.bool_)
    for query in prange(len(item)):
        for row in range(indptr[user[query]], indptr[user[query] + 1]):
            for column in range(item.shape[1]):
                found[query, column] |= item[query, column] == log_item[row]
    return found


@njit(parallel=True, cache=True)
def _watched(
    indptr: Longs, log_item: Ints, log_at: Longs, user: Ints, item: Ints, at: Longs, seconds: int
) -> Mask:
    """(N,) whether each user has an event of the item from a moment on, for so many seconds."""
    found = np.zeros(len(user), dtype=np.bool_)
    for n in prange(len(user)):
        for row in range(indptr[user[n]], indptr[user[n] + 1]):
            if log_item[row] == item[n] and at[n] <= log_at[row] < at[n] + seconds:
                found[n] = True
                break
    return found
