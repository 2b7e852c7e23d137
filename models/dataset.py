"""The two things every model meets: the log it learns from, and the queries it answers.

Both are flat numpy arrays. The log is sorted by user, then time, then the order of the source file, so
that the history of a user up to any moment is one contiguous slice: a query is three integers and a time,
and the histories of a hundred thousand queries cost no copies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]

HOUR, DAY = 3_600, 86_400
"""Seconds in an hour and in a day."""


@dataclass(frozen=True)
class Dataset:
    """A log of E ratings by U users of I items, with the attributes of both.

    ``user_idx`` and ``item_idx`` are dense (by ascending source id). The E rows are sorted by
    (user, time, order of the file); ``at`` is in epoch seconds, UTC. All rows are before ``as_of``.

    User attributes are (U,) int32 codes, -1 for unknown: ``gender``, ``age``, ``occupation``, ``region``
    (a prefix of the zip code), and ``zip``, its first five digits as a number. Item attributes: ``year`` (I,)
    int32, -1 for unknown; ``genres`` (I, G) bool, one column a genre; ``franchise`` (I,) codes and ``title``
    (I, W) hashes of words. Both have ``id``, int64, that of the source. Any attribute may be missing.
    """

    user_idx: Ints  # (E,)
    item_idx: Ints  # (E,)
    rating: Floats  # (E,)
    at: Longs  # (E,)
    n_users: int
    n_items: int
    as_of: int  # epoch seconds, exclusive
    users: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    items: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    @cached_property
    def indptr(self) -> Longs:
        """(U + 1,) bounds of each user's rows: those of user u are ``indptr[u]`` to ``indptr[u + 1]``."""
        counts = np.bincount(self.user_idx, minlength=self.n_users)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @property
    def year(self) -> int:
        """The calendar year of ``as_of``, UTC."""
        return int(str(np.datetime64(self.as_of, "s").astype("datetime64[Y]")))

    @property
    def n_events(self) -> int:
        """E, the number of ratings."""
        return len(self.user_idx)

    def where(self, keep: NDArray[np.bool_], as_of: int | None = None) -> "Dataset":
        """The same users and items with only the rows to keep, (E,) bool."""
        return Dataset(
            self.user_idx[keep],
            self.item_idx[keep],
            self.rating[keep],
            self.at[keep],
            self.n_users,
            self.n_items,
            self.as_of if as_of is None else as_of,
            self.users,
            self.items,
        )

    def before(self, as_of: int) -> "Dataset":
        """The log as it was at ``as_of`` (exclusive, epoch seconds)."""
        return self.where(self.at < as_of, as_of)


@dataclass(frozen=True)
class Queries:
    """B questions "what next?": a user, the history up to now, and the time.

    The history of query b is ``log[start[b]:end[b]]``, oldest first. The log may be later than the one a
    model was fitted on, so the same fitted model serves a longer history. ``user_idx`` is -1 for a user
    unknown to the model.
    """

    user_idx: Ints  # (B,)
    at: Longs  # (B,) epoch seconds: the time of the query
    start: Longs  # (B,)
    end: Longs  # (B,)
    log: Dataset

    def __len__(self) -> int:
        return len(self.user_idx)

    def with_fewer_than(self, n: int) -> Mask:
        """(B,) whether the history has fewer than n events."""
        fewer: Mask = self.end - self.start < n
        return fewer

    def rows(self, start: int, stop: int) -> "Queries":
        """Queries start to stop, over the same log."""
        part = slice(start, stop)
        return Queries(self.user_idx[part], self.at[part], self.start[part], self.end[part], self.log)

    def take(self, rows: Longs) -> "Queries":
        """The queries of these numbers (b,), over the same log."""
        return Queries(self.user_idx[rows], self.at[rows], self.start[rows], self.end[rows], self.log)

    def alone(self) -> "Queries":
        """The same queries over a log of nothing but their histories."""
        length = self.end - self.start
        end = np.cumsum(length)
        rows = np.arange(length.sum()) + np.repeat(self.start - end + length, length)
        log = self.log
        events = (log.user_idx[rows], log.item_idx[rows], log.rating[rows], log.at[rows])
        part = Dataset(*events, log.n_users, log.n_items, log.as_of, log.users, log.items)
        return Queries(self.user_idx, self.at, end - length, end, part)

    def last(self, n: int) -> "Queries":
        """The same queries with only the newest n events of each history."""
        return Queries(self.user_idx, self.at, np.maximum(self.start, self.end - n), self.end, self.log)


def queries_at(log: Dataset, at: int | None = None, users: Ints | None = None) -> Queries:
    """One query a user (all by default) with all of the user's log, asked at ``at`` (default: as_of)."""
    users = np.arange(log.n_users, dtype=np.int32) if users is None else users
    moment = np.full(len(users), log.as_of if at is None else at, dtype=np.int64)
    return Queries(users, moment, log.indptr[users], log.indptr[users + 1], log)


def queries_after(log: Dataset, users: Ints) -> Queries:
    """One query a user with all of the user's log, asked at the newest event; without any, at as_of."""
    end = log.indptr[users + 1]
    newest = log.at[np.maximum(end - 1, 0)] if log.n_events else log.as_of
    moment = np.where(end > log.indptr[users], newest, log.as_of).astype(np.int64)
    return Queries(users, moment, log.indptr[users], end, log)


def queries_before(log: Dataset, rows: Longs) -> Queries:
    """One query an event of the log (row numbers), with the user's history strictly before that row."""
    users = log.user_idx[rows]
    return Queries(users, log.at[rows], log.indptr[users], rows.astype(np.int64), log)


def first_ratings(log: Dataset) -> Mask:
    """(E,) whether the row is the user's first rating of its item.

    Seen items are filtered from every list, so a film rated again is nobody's target.
    """
    return _first_ratings(log.indptr, log.item_idx, log.n_items)


def rows_beyond(log: Dataset, other: Dataset) -> Longs:
    """The rows of a log whose events (user, item, time) another log of equal vocabulary does not have.

    Raises:
        ValueError: the other log has another number of users or items.
    """
    if (log.n_users, log.n_items) != (other.n_users, other.n_items):
        raise ValueError(f"{log.n_users} users, {log.n_items} items, and {other.n_users}, {other.n_items}")
    mine, theirs = (log.indptr, log.item_idx, log.at), (other.indptr, other.item_idx, other.at)
    return np.flatnonzero(_beyond(mine, theirs, log.n_items))


def rows_before(log: Dataset, users: Ints, at: Longs) -> Longs:
    """(B,) the first row of each user that is not before ``at``: where that user's history ends."""
    return first_not_before(log.at, log.indptr[users], log.indptr[users + 1], at)


@njit(parallel=True, cache=True)
def first_not_before(at: Longs, begin: Longs, end: Longs, moment: Longs) -> Longs:
    """(N,) the first row of begin to end, whose times ascend, that is not before the moment; end if none."""
    found = np.empty(len(begin), dtype=np.int64)
    for n in prange(len(begin)):
        found[n] = search(at, begin[n], end[n], moment[n])
    return found


@njit(cache=True)
def search(at: Longs, begin: int, end: int, moment: int) -> int:
    """``first_not_before`` of one moment."""
    while begin < end:
        middle = (begin + end) // 2
        if at[middle] < moment:
            begin = middle + 1
        else:
            end = middle
    return begin


@njit(cache=True)
def _first_ratings(indptr: Longs, log_item: Ints, n_items: int) -> Mask:
    first = np.empty(len(log_item), dtype=np.bool_)
    rated_by = np.full(n_items, -1, dtype=np.int32)  # the newest user
    for user in range(len(indptr) - 1):
        for row in range(indptr[user], indptr[user + 1]):
            first[row] = rated_by[log_item[row]] != user
            rated_by[log_item[row]] = user
    return first


@njit(cache=True)
def _beyond(mine: tuple[Longs, Ints, Longs], theirs: tuple[Longs, Ints, Longs], n_items: int) -> Mask:
    """Both are sorted by user and time, so what they rated at one time is looked at together."""
    (my_ptr, my_item, my_at), (their_ptr, their_item, their_at) = mine, theirs
    beyond = np.ones(len(my_item), dtype=np.bool_)
    rated_in = np.full(n_items, -1, dtype=np.int64)  # my first row of the newest time with the item
    for user in range(len(my_ptr) - 1):
        row, end = my_ptr[user], my_ptr[user + 1]
        their_row, their_end = their_ptr[user], their_ptr[user + 1]
        while row < end:
            first, now = row, my_at[row]
            while their_row < their_end and their_at[their_row] <= now:
                if their_at[their_row] == now:
                    rated_in[their_item[their_row]] = first
                their_row += 1
            while row < end and my_at[row] == now:
                beyond[row] = rated_in[my_item[row]] != first
                row += 1
    return beyond
