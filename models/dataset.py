"""The two things every model meets: the log it learns from, and the queries it answers.

Both are flat numpy arrays. The log is sorted by user, then time, then the order of the source file, so
that the history of a user up to any moment is one contiguous slice: a query is three integers and a time,
and the histories of a hundred thousand queries cost no copies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl
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
    (a prefix of the zip code). Item attributes: ``year`` (I,) int32, -1 for unknown; ``genres`` (I, G)
    bool, one column a genre. Any attribute may be missing.
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
    pair = log.user_idx.astype(np.int64) * log.n_items + log.item_idx
    first = np.zeros(log.n_events, dtype=np.bool_)
    first[np.unique(pair, return_index=True)[1]] = True
    return first


def rows_beyond(log: Dataset, other: Dataset) -> Longs:
    """The rows of a log whose events (user, item, time) another log of equal vocabulary does not have."""
    mine, theirs = _events(log).with_row_index("row"), _events(other)
    beyond = mine.join(theirs, on=theirs.columns, how="anti", maintain_order="left")
    return beyond["row"].to_numpy().astype(np.int64)


def _events(log: Dataset) -> pl.DataFrame:
    return pl.DataFrame({"user": log.user_idx, "item": log.item_idx, "at": log.at})


def rows_before(log: Dataset, users: Ints, at: Longs) -> Longs:
    """(B,) the first row of each user that is not before ``at``: where that user's history ends."""
    if not log.n_events:
        return np.zeros(len(users), dtype=np.int64)
    origin = log.at.min()
    span = log.at.max() - origin + 2
    key = log.user_idx * span + (log.at - origin)
    rows: Longs = np.searchsorted(key, users * span + np.clip(at - origin, 0, span - 1)).astype(np.int64)
    return rows
