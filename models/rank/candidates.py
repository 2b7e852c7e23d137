"""Candidate pools of ranking: the best of the merged list, with their scores by channel, and training rows.

What recall would have proposed stands for what was shown, which need not be logged: channels fitted before
the labels answer held-back questions; what the user then watched is positive, the other candidates are
negative, of which a known fraction is kept. A target that recall did not find teaches nothing. What a log of
exposures adds is in ``models.rank.exposed``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from pydantic import PositiveInt

from models.bounds import NonNegative, PositiveFraction
from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Floats, Ints, Longs, Mask, Queries
from models.features.compute import Pairs, PastIndex
from models.targets import Targets

QUERIES = 64
"""Queries that share a scratch row of all items, which is cleared where they touched it."""

MERGED = "merged"
"""The name of the merged list among those of the channels."""

TASKS = ("watched", "liked", "loved")
"""Watched next; and of what was watched, at least LIKED_STARS, and LOVED_STARS."""

LIKED_STARS, LOVED_STARS = 4, 5
"""Ratings, in stars."""


@dataclass(frozen=True)
class Pool:
    """The candidates of B queries. Features know of the log what was before each query."""

    queries: Queries
    merged: Candidates  # (B, n): what is ranked
    channels: Mapping[str, Candidates]

    @property
    def lists(self) -> dict[str, Candidates]:
        """All lists that features read, by name."""
        return {**self.channels, MERGED: self.merged}

    def where(self, queries: Longs) -> "Pool":
        """Some of the queries, by ascending number."""
        channels = {name: found.take(queries) for name, found in self.channels.items()}
        return Pool(self.queries.take(queries), self.merged.take(queries), channels)

    @property
    def lengths(self) -> Floats:
        """(B, n) seconds of each candidate; nan where it is not known."""
        return lengths(self.queries.log, self.merged.item)

    def pairs(self, past: PastIndex, chosen: Mask) -> Pairs:
        """The chosen candidates, (B, n) bool, by query and merged rank."""
        query, rank0 = np.nonzero(chosen)
        item = self.merged.item[query, rank0]
        indptr = np.searchsorted(query, np.arange(len(self.queries) + 1))
        lists = list(self.lists.values())
        found = [found_in(listed, indptr, item, past.log.n_items) for listed in lists]
        first = np.stack([found.score[:, 0] for found in lists], axis=1)
        best = np.where(np.isfinite(first), first, np.nan)
        rank, score = (np.stack(values, axis=1) for values in zip(*found, strict=True))
        return Pairs(past, self.queries, query, item, rank, score, best)


def found_in(listed: Candidates, indptr: Longs, item: Ints, n_items: int) -> tuple[Floats, Floats]:
    """Rank and score of each item (N,) in the list of its query, nan where it is not in there.

    The items of query b are those from ``indptr[b]`` to ``indptr[b + 1]``.
    """
    found: tuple[Floats, Floats] = _find(listed.item, listed.score, indptr, item, n_items)
    return found


@njit(parallel=True, cache=True)
def _find(listed: Ints, scores: Floats, indptr: Longs, item: Ints, n_items: int) -> tuple[Floats, Floats]:
    rank = np.full(len(item), np.nan, dtype=np.float32)
    score = np.full(len(item), np.nan, dtype=np.float32)
    for chunk in prange((len(listed) + QUERIES - 1) // QUERIES):
        rank0_of = np.full(n_items, -1, dtype=np.int32)
        for query in range(chunk * QUERIES, min((chunk + 1) * QUERIES, len(listed))):
            for rank0 in range(listed.shape[1]):
                if listed[query, rank0] >= 0:
                    rank0_of[listed[query, rank0]] = rank0
            for row in range(indptr[query], indptr[query + 1]):
                rank0 = rank0_of[item[row]]
                if rank0 >= 0:
                    rank[row] = rank0 + 1
                    score[row] = scores[query, rank0]
            for rank0 in range(listed.shape[1]):
                if listed[query, rank0] >= 0:
                    rank0_of[listed[query, rank0]] = -1
    return rank, score


class Sampling(Config):
    """Candidates that rankers learn from."""

    negative_rate: PositiveFraction = 0.1
    """Fraction of the candidates not watched that is learned from; calibration undoes it."""
    max_targets: PositiveInt = 10
    """Targets of a query that count at most: the candidates of one with more are thinned alike."""
    popularity_power: NonNegative = 0.0
    """Power of the number of its events that a target weighs the inverse of in training; 0: all alike."""


@dataclass(frozen=True)
class Emphasis:
    """How much the candidates (B, n) of held-back queries count in the training of a ranker."""

    is_ignored: Mask
    """Shown to the user, who did not watch it."""
    negative_rate: float
    """Fraction of the ignored ones that is learned from."""
    weight: Floats
    """Weight of a candidate in the loss."""


def sample(
    pool: Pool, targets: Targets, sampling: Sampling, seed: int, emphasis: Emphasis | None = None
) -> Mask:
    """(B, n) the targets among the candidates of each query, and a fraction of its others.

    Of those that were shown and ignored the fraction is that of ``emphasis``.

    A query none of whose targets is a candidate is left out: it would say that all of them are bad. One with
    hundreds of them, a long first session, is thinned: lists are judged query by query.
    """
    positive = is_target(pool.merged.item, targets)
    count = positive.sum(axis=1, keepdims=True)
    thinned = np.minimum(1, sampling.max_targets / np.maximum(count, 1)) * (count > 0)  # (B, 1)
    negative_rate: float | Floats = sampling.negative_rate
    if emphasis is not None:
        negative_rate = np.where(emphasis.is_ignored, emphasis.negative_rate, negative_rate)
    rate = thinned * np.where(positive, 1, negative_rate) * (pool.merged.item >= 0)
    sampled: Mask = np.random.default_rng(seed).random(positive.shape) < rate
    return sampled


def inverse_popularity(item: Ints, is_target: Mask, log: Dataset, power: float) -> Floats:
    """(N,) weights of items in training: of targets the events of the item in the log to a negative power.

    Popular films are seen, and so watched, for being popular: a power of their number of events stands for
    the propensity of seeing them (Yang et al. 2018, "Unbiased Offline Recommender Evaluation for
    Missing-Not-at-Random Implicit Feedback", https://doi.org/10.1145/3240323.3240355). Of an item's odds of
    being watched a ranker then learns those over that power. Targets weigh 1 on average, all else 1.
    """
    events = 1.0 + np.bincount(log.item_idx, minlength=log.n_items)[item[is_target]]
    weight = np.ones(len(item), dtype=np.float32)
    inverse = (events / events.max(initial=1.0)) ** -power
    weight[is_target] = inverse / inverse.mean() if len(inverse) else inverse
    return weight


def lengths(log: Dataset, item: NDArray[np.integer]) -> Floats:
    """The length of items in seconds; nan where it is not known."""
    if "duration_seconds" not in log.items:
        return np.full(item.shape, np.nan, dtype=np.float32)
    found: Floats = log.items["duration_seconds"].astype(np.float32)[item]
    return found


def is_target(item: Ints, targets: Targets) -> Mask:
    """(B, n) which of the items (B, n) are among the targets of their query."""
    return _is_target(item, targets.indptr, targets.item)


@njit(cache=True)
def _is_target(item: Ints, indptr: Longs, target: Ints) -> Mask:
    found = np.zeros(item.shape, dtype=np.bool_)
    for query in range(len(item)):
        for rank0 in range(item.shape[1]):
            for number in range(indptr[query], indptr[query + 1]):
                found[query, rank0] |= item[query, rank0] == target[number]
    return found


def task_labels(watched: Mask, user: Ints, item: Ints, log: Dataset) -> Floats:
    """(N, T) of TASKS. What was not watched is neither liked nor not: nan.

    ``log`` has the ratings of what was watched; the first rating of a film counts.
    """
    label = np.full((len(watched), len(TASKS)), np.nan, dtype=np.float32)
    label[:, 0] = watched
    rating = _first_rating(log.indptr, log.item_idx, log.rating, user[watched], item[watched])
    label[watched, 1], label[watched, 2] = rating >= LIKED_STARS, rating >= LOVED_STARS
    return label


@njit(parallel=True, cache=True)
def _first_rating(indptr: Longs, log_item: Ints, log_rating: Floats, user: Ints, item: Ints) -> Floats:
    """(N,) what each user gave each item first; every pair is in the log."""
    rating = np.full(len(user), np.nan, dtype=np.float32)
    for n in prange(len(user)):
        for row in range(indptr[user[n]], indptr[user[n] + 1]):
            if log_item[row] == item[n]:
                rating[n] = log_rating[row]
                break
    return rating
