"""Statistics of ratings as they stood at any moment: counts, means, decayed counts, in windows.

Ratings are grouped (by user or by item) and sorted by time within a group, with running sums along the
rows. The past of a group at a moment is then a run of adjacent rows, found by binary search, and a
statistic of it is a difference of two sums: no moment costs more than another. nan stands for what is not
known.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from models.bounds import NonNegative, Positive
from models.dataset import DAY, Dataset, Doubles, Floats, Ints, Longs, Queries


@dataclass(frozen=True)
class RatingSums:
    """E ratings whose group's rows are adjacent, by ascending time, with running sums."""

    indptr: Longs  # (G + 1,) the rows of each group
    row: Longs  # (E,) of the log
    log: Dataset

    @cached_property
    def at(self) -> Longs:
        """(E,) epoch seconds."""
        return self.log.at[self.row]

    @cached_property
    def rating(self) -> Floats:
        """(E,) stars."""
        return self.log.rating[self.row]

    @cached_property
    def sums(self) -> Doubles:
        """(E + 1,) of the ratings before each row."""
        return sums_before(self.rating)

    @cached_property
    def squares(self) -> Doubles:
        """(E + 1,) of the squared ratings before each row."""
        return sums_before(self.rating.astype(np.float64) ** 2)

    @cached_property
    def new_days(self) -> Longs:
        """(E + 1,) how many rows before each begin a day (UTC) of their group."""
        day = self.at // DAY
        new = np.append(True, day[1:] != day[:-1])[: len(day)]
        new[self.indptr[:-1][self.indptr[:-1] < len(day)]] = True
        return sums_before(new).astype(np.int64)

    @cached_property
    def everyone(self) -> tuple[Longs, Doubles, Longs]:
        """Times of all ratings ascending, the sums of the ratings before each, and each user's first time."""
        log, order = self.log, np.argsort(self.log.at, kind="stable")
        first = log.indptr[:-1][np.diff(log.indptr) > 0]
        return log.at[order], sums_before(log.rating[order]), np.sort(log.at[first])


def by_user(log: Dataset) -> RatingSums:
    """The log as it is: its rows are sorted by user and time."""
    return RatingSums(log.indptr, np.arange(log.n_events), log)


def by_item(log: Dataset) -> RatingSums:
    """The log sorted by item and time; ties in the order of the log."""
    order = np.lexsort((log.at, log.item_idx))
    indptr = np.searchsorted(log.item_idx[order], np.arange(log.n_items + 1))
    return RatingSums(indptr, order, log)


@dataclass(frozen=True)
class Past:
    """The ratings before N moments: rows begin to end of all; the newest is before ``at``."""

    ratings: RatingSums
    begin: Longs  # (N,)
    end: Longs  # (N,)
    at: Longs  # (N,) epoch seconds

    @property
    def count(self) -> Longs:
        """(N,) number of ratings."""
        return self.end - self.begin

    def newest(self, days: float) -> "Past":
        """The ratings of the last days before ``at`` alone."""
        since = (self.at - days * DAY).astype(np.int64)
        return replace(self, begin=first_not_before(self.ratings.at, self.begin, self.end, since))


def of_users(ratings: RatingSums, queries: Queries) -> Past:
    """The history of each query: the log up to the query is the user's own, so nothing is searched."""
    return Past(ratings, queries.start, queries.end, queries.at)


def of_items(ratings: RatingSums, item: Ints, at: Longs) -> Past:
    """The ratings of each item (N,) strictly before ``at`` (N,)."""
    begin = ratings.indptr[item]
    return Past(ratings, begin, first_not_before(ratings.at, begin, ratings.indptr[item + 1], at), at)


@njit(parallel=True, cache=True)
def first_not_before(at: Longs, begin: Longs, end: Longs, moment: Longs) -> Longs:
    """(N,) the first row of begin to end, whose times ascend, that is not before the moment; end if none."""
    found = np.empty(len(begin), dtype=np.int64)
    for n in prange(len(begin)):
        low, high = begin[n], end[n]
        while low < high:
            middle = (low + high) // 2
            if at[middle] < moment[n]:
                low = middle + 1
            else:
                high = middle
        found[n] = low
    return found


def count(past: Past) -> Doubles:
    """Number of ratings; 0 for none."""
    return past.count.astype(np.float64)


def mean(past: Past) -> Doubles:
    """Mean rating."""
    return _over(_sum(past.ratings.sums, past), past.count)


def variance(past: Past) -> Doubles:
    """Population variance of the ratings: 0 for one."""
    squares = _over(_sum(past.ratings.squares, past), past.count)
    return np.maximum(squares - mean(past) ** 2, 0.0)


def smoothed_mean(past: Past, prior: NonNegative) -> Doubles:
    """Bayesian mean rating: with ``prior`` pseudo-ratings at the mean of all ratings before ``at``."""
    times, sums, _ = past.ratings.everyone
    n = np.searchsorted(times, past.at)
    overall = _over(sums[n], n)
    smoothed: Doubles = (_sum(past.ratings.sums, past) + prior * overall) / (past.count + prior)
    return smoothed


def decayed_count(past: Past, half_life_days: Positive) -> Doubles:
    """Ratings, each counting half as much for every half-life of age."""
    ratings = past.ratings
    return _decayed(ratings.at, ratings.indptr, past.begin, past.end, past.at, half_life_days * DAY)


def fraction(past: Past) -> Doubles:
    """Ratings over the number of users with a rating before ``at``; 0 for none."""
    n_users = np.searchsorted(past.ratings.everyone[2], past.at)
    rated: Doubles = past.count / np.maximum(n_users, 1)
    return rated


def days(past: Past) -> Doubles:
    """Days (UTC) with at least one rating."""
    flags = past.ratings.new_days
    later: Longs = flags[past.end] - flags[np.minimum(past.begin + 1, past.end)]
    return (later + (past.count > 0)).astype(np.float64)


def oldest_age(past: Past) -> Doubles:
    """Days since the first rating."""
    return _age(past, past.begin)


def newest_age(past: Past) -> Doubles:
    """Days since the newest rating."""
    return _age(past, past.end - 1)


STATISTICS: dict[str, Callable[..., Doubles]] = {
    "count": count,
    "mean": mean,
    "variance": variance,
    "smoothed_mean": smoothed_mean,
    "decayed_count": decayed_count,
    "fraction": fraction,
    "days": days,
    "oldest_age": oldest_age,
    "newest_age": newest_age,
}
"""By the name in features.toml. The warehouse has the same in SQL; a test holds one against the other."""

WINDOW = "window_days"
"""The parameter that any statistic but a decayed one may have."""


def statistic(name: str, past: Past, parameters: Mapping[str, Any]) -> Doubles:
    """(N,) one statistic by name, in its window if the parameters name one."""
    window = parameters.get(WINDOW)
    others = {key: value for key, value in parameters.items() if key != WINDOW}
    return STATISTICS[name](past if window is None else past.newest(window), **others)


def sums_before(values: NDArray[np.generic]) -> Doubles:
    """(E + 1, ...) sums of the rows (E, ...) before each, so that a sum over any of them is a difference."""
    zero = np.zeros((1, *values.shape[1:]))
    return np.concatenate([zero, np.cumsum(values, axis=0, dtype=np.float64)])


def _sum(sums: Doubles, past: Past) -> Doubles:
    total: Doubles = sums[past.end] - sums[past.begin]
    return total


def _over(total: Doubles, n: Longs) -> Doubles:
    with np.errstate(invalid="ignore"):
        return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _age(past: Past, row: Longs) -> Doubles:
    rated = past.count > 0
    age = np.full(len(past.at), np.nan)
    age[rated] = (past.at[rated] - past.ratings.at[row[rated]]) / DAY
    return age


@njit(cache=True)
def _decayed(at: Longs, indptr: Longs, begin: Longs, end: Longs, moment: Longs, half_life: float) -> Doubles:
    """The running count after each row fades until the next: one pass, then one look-up a moment."""
    after = np.empty(len(at))
    for group in range(len(indptr) - 1):
        total = 0.0
        for row in range(indptr[group], indptr[group + 1]):
            if row > indptr[group]:
                total *= 0.5 ** ((at[row] - at[row - 1]) / half_life)
            total += 1.0
            after[row] = total
    found = np.zeros(len(begin))
    for n in range(len(begin)):
        if end[n] > begin[n]:
            found[n] = after[end[n] - 1] * 0.5 ** ((moment[n] - at[end[n] - 1]) / half_life)
    return found
