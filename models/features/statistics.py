"""Statistics of ratings as they stood at any moment: counts, means, decayed counts, in windows.

Ratings are grouped (by user or by item) and sorted by time within a group. The past of a group at a moment is
then a run of adjacent rows, found by binary search. Sums over the rows before every ``STEP``-th one are kept,
and what lies between is added up when it is asked for: no moment costs more than another, and the sums take
an eighth of what they would take for each row. Sums of whole and half stars are exact, in whatever order.
nan stands for what is not known.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from models.bounds import NonNegative, Positive
from models.dataset import DAY, Dataset, Doubles, Floats, Ints, Longs, Mask, Queries, first_not_before

STEP = 8
"""Rows between two that sums are kept of."""

DIGIT = 1 << 16
"""Values of a digit that rows are sorted by."""

GONE = np.iinfo(np.int64).min
"""The shift of a row that is not there any more."""

Columns = Mapping[str, NDArray[np.generic]]
"""Arrays by name."""


@dataclass(frozen=True)
class Everyone:
    """All ratings of a log by time, and its users by the time of their first rating."""

    row: Ints  # (E,) of the log, by ascending time
    first_at: Longs  # (U',) epoch seconds, ascending, of the users with ratings
    log: Dataset

    @cached_property
    def sums(self) -> Doubles:
        """(E // STEP + 1,) the ratings before every STEP-th row."""
        return _ratings_before(self.row, self.log.rating)

    def mean(self, at: Longs) -> Doubles:
        """(N,) the mean of all ratings before each moment; nan for none."""
        moment, number = _moments(at)
        return _means(self.row, self.log.at, self.log.rating, self.sums, moment)[number]

    def n_ratings(self, at: Longs) -> Longs:
        """(N,) ratings before each moment."""
        moment, number = _moments(at)
        return _rows_before(self.row, self.log.at, moment)[number]

    def n_users(self, at: Longs) -> Longs:
        """(N,) users with a rating before each moment."""
        moment, number = _moments(at)
        users: Longs = np.searchsorted(self.first_at, moment)[number]
        return users


@dataclass(frozen=True)
class RatingSums:
    """E ratings whose group's rows are adjacent, by ascending time, with sums of those before any row."""

    indptr: Longs  # (G + 1,) the rows of each group
    at: Longs  # (E,) epoch seconds
    rating: Floats  # (E,) stars
    everyone: Everyone
    decayed: dict[float, Doubles] = field(default_factory=dict, compare=False)
    """By half-life in days, as asked for: (E // STEP + 1,) the count after the row before every STEP-th."""

    @cached_property
    def sums(self) -> Doubles:
        """(E // STEP + 1, 3) ratings, their squares and new days, of the rows before every STEP-th one."""
        return _sums_before(self.at, self.rating)

    def decayed_count(self, past: "Past", half_life_days: float) -> Doubles:
        """(N,) ratings, each counting half as much for every half-life of its age."""
        half_life = half_life_days * DAY
        if half_life_days not in self.decayed:
            self.decayed[half_life_days] = _decayed_before(self.at, self.indptr, half_life)
        before = self.decayed[half_life_days]
        return _decayed(self.at, self.indptr, before, past.begin, past.end, past.at, half_life)


def by_user(log: Dataset, columns: Columns | None = None) -> RatingSums:
    """The log as it is: its rows are sorted by user and time."""
    return RatingSums(log.indptr, log.at, log.rating, _everyone(log, columns or orders(log)))


def by_item(log: Dataset, columns: Columns | None = None) -> RatingSums:
    """The log sorted by item and time; ties in the order of the log. ``columns`` are its ``orders``."""
    given: Any = columns or orders(log)
    everyone = _everyone(log, given)
    return RatingSums(given["item_ptr"], given["item_at"], given["item_rating"], everyone)


def orders(log: Dataset) -> dict[str, NDArray[np.generic]]:
    """A log by time and by item, ties in the order of the log: rows as small numbers, 20 bytes an event.

    ``time_row`` (E,) and ``item_row`` (E,) of the log, ``item_ptr`` (I + 1,) the bounds of each item's rows,
    ``item_at`` and ``item_rating`` (E,) in their order, ``first_at`` (U',) the time of each user's first
    rating, ascending. Written as columns they serve every process that maps them.
    """
    row: Any = np.arange(log.n_events, dtype=np.int32 if log.n_events <= np.iinfo(np.int32).max else np.int64)
    origin = int(log.at.min(initial=0))
    for shift in range(0, (int(log.at.max(initial=0)) - origin).bit_length(), DIGIT.bit_length() - 1):
        row = _sorted_by(row, log.at, origin, shift, DIGIT)
    by_item = _sorted_by(row, log.item_idx, 0, 0, log.n_items)
    return _orders(log, row, by_item)


def updated_orders(
    log: Dataset, before: Columns, old_user: Ints, users: Longs, refreshed: Mask
) -> dict[str, NDArray[np.generic]]:
    """The ``orders`` of a log from those of an earlier one, without sorting what is the same in both.

    ``old_user`` (E',) has the user of each row of the earlier log; its user u is now ``users[u]`` (U',). The
    rows of all users but the ``refreshed`` ones (U,) are the same as then. Items may have other numbers, in
    the same order.
    """
    given: Any = before
    old_ptr = np.searchsorted(old_user, np.arange(len(users) + 1, dtype=old_user.dtype))
    shift = np.where(refreshed[users], GONE, log.indptr[users] - old_ptr[:-1])
    fresh = _rows_of(log, np.flatnonzero(refreshed))
    by_time = fresh[np.argsort(log.at[fresh], kind="stable")]
    by_item = by_time[np.argsort(log.item_idx[by_time], kind="stable")]
    nothing = np.zeros(0, dtype=np.int32)
    time_row = _merged(given["time_row"], old_user, shift, by_time, nothing, log.at, log.n_events)
    item_row = _merged(given["item_row"], old_user, shift, by_item, log.item_idx, log.at, log.n_events)
    return _orders(log, time_row, item_row)


def _orders(log: Dataset, time_row: Ints, item_row: Ints) -> dict[str, NDArray[np.generic]]:
    n_ratings = np.bincount(log.item_idx, minlength=log.n_items)
    return {
        "time_row": time_row,
        "item_row": item_row,
        "item_ptr": np.concatenate([[0], np.cumsum(n_ratings)]).astype(np.int64),
        "item_at": log.at[item_row],
        "item_rating": log.rating[item_row],
        "first_at": np.sort(log.at[log.indptr[:-1][np.diff(log.indptr) > 0]]),
    }


def _rows_of(log: Dataset, users: Longs) -> Longs:
    """The rows of some users, ascending."""
    start, length = log.indptr[users], np.diff(log.indptr)[users]
    rows: Longs = np.arange(length.sum()) + np.repeat(start - np.cumsum(length) + length, length)
    return rows


@njit(cache=True)
def _merged(old: Ints, old_user: Ints, shift: Longs, fresh: Longs, item: Ints, at: Longs, n: int) -> Ints:
    """An order of rows and some more rows, both by item (if there are any), time and row, as one of n rows.

    Rows of the old order have moved by the shift of their user, or are gone.
    """
    merged = np.empty(n, dtype=old.dtype)
    size, k = 0, 0
    for number in old:
        moved = shift[old_user[number]]
        if moved == GONE:
            continue
        row = number + moved
        while k < len(fresh) and _before(fresh[k], row, item, at):
            merged[size] = fresh[k]
            size, k = size + 1, k + 1
        merged[size] = row
        size += 1
    for rest in fresh[k:]:
        merged[size] = rest
        size += 1
    return merged


@njit(cache=True, inline="always")
def _before(one: int, other: int, item: Ints, at: Longs) -> bool:
    if len(item) > 0 and item[one] != item[other]:
        return bool(item[one] < item[other])
    if at[one] != at[other]:
        return bool(at[one] < at[other])
    return one < other


def _everyone(log: Dataset, columns: Any) -> Everyone:
    return Everyone(columns["time_row"], columns["first_at"], log)


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

    @cached_property
    def totals(self) -> Doubles:
        """(N, 3) ratings, their squares, and the days (UTC) with any."""
        ratings = self.ratings
        return _totals(ratings.at, ratings.rating, ratings.sums, self.begin, self.end)

    def newest(self, days: float) -> "Past":
        """The ratings of the last days before ``at`` alone."""
        since = (self.at - days * DAY).astype(np.int64)
        return replace(self, begin=first_not_before(self.ratings.at, self.begin, self.end, since))


@dataclass(frozen=True)
class Grouped:
    """Ratings by any groups, each of a number."""

    keys: Longs  # (G,) ascending: the groups that have ratings
    ratings: RatingSums

    def past(self, key: Longs, at: Longs) -> Past:
        """The ratings of each group (N,) strictly before ``at`` (N,); none of a group that is not there."""
        indptr, group = self.ratings.indptr, np.searchsorted(self.keys, key)
        begin = indptr[group]
        exists = np.append(self.keys, np.iinfo(np.int64).min)[group] == key
        stop = np.where(exists, indptr[np.minimum(group + 1, len(self.keys))], begin)
        return Past(self.ratings, begin, first_not_before(self.ratings.at, begin, stop, at), at)


def grouped(log: Dataset, everyone: Everyone, rows: Ints, key: Longs) -> Grouped:
    """The ratings of some rows (n,) of a log, by ascending time, by the key (n,) of each; -1 is left out."""
    order = np.argsort(key, kind="stable")
    order = order[np.count_nonzero(key < 0) :]
    keys, first = np.unique(key[order], return_index=True)
    indptr = np.append(first, len(order)).astype(np.int64)
    sorted_rows = rows[order]
    return Grouped(keys, RatingSums(indptr, log.at[sorted_rows], log.rating[sorted_rows], everyone))


def of_users(ratings: RatingSums, queries: Queries) -> Past:
    """The history of each query: the log up to the query is the user's own, so nothing is searched."""
    return Past(ratings, queries.start, queries.end, queries.at)


def of_items(ratings: RatingSums, item: Ints, at: Longs) -> Past:
    """The ratings of each item (N,) strictly before ``at`` (N,)."""
    begin = ratings.indptr[item]
    return Past(ratings, begin, first_not_before(ratings.at, begin, ratings.indptr[item + 1], at), at)


def count(past: Past) -> Doubles:
    """Number of ratings; 0 for none."""
    return past.count.astype(np.float64)


def mean(past: Past) -> Doubles:
    """Mean rating."""
    return _over(past.totals[:, 0], past.count)


def variance(past: Past) -> Doubles:
    """Population variance of the ratings: 0 for one."""
    squares = _over(past.totals[:, 1], past.count)
    return np.maximum(squares - mean(past) ** 2, 0.0)


def smoothed_mean(past: Past, prior: NonNegative) -> Doubles:
    """Bayesian mean rating: with ``prior`` pseudo-ratings at the mean of all ratings before ``at``."""
    overall = past.ratings.everyone.mean(past.at)
    smoothed: Doubles = (past.totals[:, 0] + prior * overall) / (past.count + prior)
    return smoothed


def decayed_count(past: Past, half_life_days: Positive) -> Doubles:
    """Ratings, each counting half as much for every half-life of age."""
    return past.ratings.decayed_count(past, half_life_days)


def fraction(past: Past) -> Doubles:
    """Ratings over the number of users with a rating before ``at``; 0 for none."""
    rated: Doubles = past.count / np.maximum(past.ratings.everyone.n_users(past.at), 1)
    return rated


def days(past: Past) -> Doubles:
    """Days (UTC) with at least one rating."""
    return past.totals[:, 2]


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


def _over(total: Doubles, n: Longs) -> Doubles:
    with np.errstate(invalid="ignore"):
        return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _age(past: Past, row: Longs) -> Doubles:
    rated = past.count > 0
    age = np.full(len(past.at), np.nan)
    age[rated] = (past.at[rated] - past.ratings.at[row[rated]]) / DAY
    return age


def _moments(at: Longs) -> tuple[Longs, Longs]:
    """The moments (M,) of adjacent equal ones, and the number of each of them all (N,)."""
    new = np.append(True, at[1:] != at[:-1])[: len(at)]
    return at[new], np.cumsum(new) - 1


@njit(cache=True)
def _sorted_by(row: Ints, value: NDArray[np.integer], origin: int, shift: int, n_digits: int) -> Ints:
    """Rows (E,) sorted stably by one digit of their values: the remainder of what is above ``shift`` bits."""
    begin = np.zeros(n_digits + 1, dtype=np.int64)
    for number in row:
        begin[(((np.int64(value[number]) - origin) >> shift) % n_digits) + 1] += 1
    begin = np.cumsum(begin)
    ordered = np.empty_like(row)
    for number in row:
        digit = ((np.int64(value[number]) - origin) >> shift) % n_digits
        ordered[begin[digit]] = number
        begin[digit] += 1
    return ordered


@njit(cache=True)
def _ratings_before(row: Ints, rating: Floats) -> Doubles:
    sums = np.zeros(len(row) // STEP + 1)
    total = 0.0
    for number in range(len(row)):
        total += rating[row[number]]
        if (number + 1) % STEP == 0:
            sums[(number + 1) // STEP] = total
    return sums


@njit(cache=True)
def _rows_before(row: Ints, at: Longs, moment: Longs) -> Longs:
    """(M,) rows, by ascending time, before each moment."""
    found = np.empty(len(moment), dtype=np.int64)
    for m in range(len(moment)):
        low, high = 0, len(row)
        while low < high:
            middle = (low + high) // 2
            if at[row[middle]] < moment[m]:
                low = middle + 1
            else:
                high = middle
        found[m] = low
    return found


@njit(cache=True)
def _means(row: Ints, at: Longs, rating: Floats, sums: Doubles, moment: Longs) -> Doubles:
    means = np.full(len(moment), np.nan)
    before = _rows_before(row, at, moment)
    for m in range(len(moment)):
        low = before[m]
        total = sums[low // STEP]
        for number in range(low // STEP * STEP, low):
            total += rating[row[number]]
        if low > 0:
            means[m] = total / low
    return means


@njit(cache=True)
def _sums_before(at: Longs, rating: Floats) -> Doubles:
    sums = np.zeros((len(at) // STEP + 1, 3))
    total = np.zeros(3)
    for row in range(len(at)):
        _add(total, at, rating, row, 1)
        if (row + 1) % STEP == 0:
            sums[(row + 1) // STEP] = total
    return sums


@njit(cache=True, inline="always")
def _add(total: Doubles, at: Longs, rating: Floats, row: int, sign: int) -> None:
    """Add a row to sums of ratings, squares and new days: a day is new if the row before has another."""
    stars = np.float64(rating[row])
    total[0] += sign * stars
    total[1] += sign * stars * stars
    if row > 0 and at[row] // DAY != at[row - 1] // DAY:
        total[2] += sign


@njit(parallel=True, cache=True)
def _totals(at: Longs, rating: Floats, sums: Doubles, begin: Longs, end: Longs) -> Doubles:
    totals = np.zeros((len(begin), 3))
    for n in prange(len(begin)):
        if begin[n] == end[n]:
            continue
        totals[n] = sums[end[n] // STEP] - sums[begin[n] // STEP]
        for row in range(end[n] // STEP * STEP, end[n]):
            _add(totals[n], at, rating, row, 1)
        for row in range(begin[n] // STEP * STEP, begin[n]):
            _add(totals[n], at, rating, row, -1)
        # The first row begins a day, whatever the day of the row before.
        if begin[n] == 0 or at[begin[n]] // DAY == at[begin[n] - 1] // DAY:
            totals[n, 2] += 1
    return totals


@njit(cache=True)
def _decayed_before(at: Longs, indptr: Longs, half_life: float) -> Doubles:
    before = np.zeros(len(at) // STEP + 1)
    for group in range(len(indptr) - 1):
        total = 0.0
        for row in range(indptr[group], indptr[group + 1]):
            total = _faded(at, indptr[group], row, total, half_life) + 1.0
            if (row + 1) % STEP == 0:
                before[(row + 1) // STEP] = total
    return before


@njit(cache=True, inline="always")
def _faded(at: Longs, first: int, row: int, total: float, half_life: float) -> float:
    """The count without that of the row before; all of it for the ``first`` row of a group."""
    return total * 0.5 ** ((at[row] - at[row - 1]) / half_life) if row > first else 0.0


@njit(parallel=True, cache=True)
def _decayed(
    at: Longs, indptr: Longs, before: Doubles, begin: Longs, end: Longs, moment: Longs, half_life: float
) -> Doubles:
    found = np.zeros(len(begin))
    for n in prange(len(begin)):
        if end[n] <= begin[n]:
            continue
        newest = end[n] - 1
        first = indptr[np.searchsorted(indptr, newest, side="right") - 1]  # of the group, whatever the window
        row = max(first, newest // STEP * STEP)
        total = before[row // STEP] if row > first else 0.0
        while row <= newest:
            total = _faded(at, first, row, total, half_life) + 1.0
            row += 1
        found[n] = total * 0.5 ** ((moment[n] - at[newest]) / half_life)
    return found
