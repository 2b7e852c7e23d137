"""Features of a query (its history and time), and of a query and an item.

Those of a query map Q queries to (Q,) or (Q, L), those of a pair N pairs to (N,), those of lists N pairs to a
column a list (N, C). nan: not known.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self, cast

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from models.bounds import Positive
from models.dataset import DAY, HOUR, Dataset, Doubles, Floats, Ints, Longs, Mask, Queries, search
from models.features.statistics import (
    Columns,
    Grouped,
    Past,
    RatingSums,
    by_item,
    by_user,
    mean,
    of_items,
    of_users,
    orders,
)

HALF_LIVES = 8
"""Half-lives after which an event is left out: it would weigh less than half a percent."""

QUERIES = 64
"""Queries that share a scratch row, which is cleared where they touched it."""


@dataclass(frozen=True)
class PastIndex:
    """A log, with orders and sums of it that are made once for all queries.

    Private memory is some 10 bytes an event if the orders are given as mapped columns, else some 35.
    """

    log: Dataset
    given: Columns | None = None
    groups: dict[str, Grouped] = field(default_factory=dict, compare=False)
    """Ratings by groups of users or items, by name, as needed: see ``models.features.groups``."""
    visible_until: int = 0
    """Epoch seconds until which every query, whenever it is made, sees what others did: models have learned
    from it too. What is later is seen by later queries alone."""

    @classmethod
    def of(cls, log: Dataset, columns: Columns, visible_until: int = 0) -> Self:
        """The index of a log from what ``columns`` returned for it, wherever the arrays lie by now.

        Raises:
            ValueError: they are of a log of another size.
        """
        if columns["item_row"].shape != log.item_idx.shape or len(columns["item_ptr"]) != log.n_items + 1:
            raise ValueError("the sorted columns are of another log")
        return cls(log, columns, visible_until=visible_until)

    def columns(self) -> Columns:
        """The orders of the log by name, all that is sorted: see ``statistics.orders``."""
        return self._orders

    @cached_property
    def _orders(self) -> Columns:
        return orders(self.log) if self.given is None else self.given

    @cached_property
    def by_user(self) -> RatingSums:
        """Ratings of each user."""
        return by_user(self.log, self._orders)

    @cached_property
    def by_item(self) -> RatingSums:
        """Ratings of each item."""
        return by_item(self.log, self._orders)

    def group(self, name: str, make: Callable[[], Grouped]) -> Grouped:
        """Ratings by groups, made once."""
        if name not in self.groups:
            self.groups[name] = make()
        return self.groups[name]

    @property
    def item_row(self) -> Ints:
        """(E,) the row of the log of each row of ``by_item``."""
        row: Any = self._orders["item_row"]
        return cast(Ints, row)

    @cached_property
    def page_ptr(self) -> Longs:
        """(P + 1,) bounds of the pages: runs of rows of a user of one second."""
        user, at = self.log.user_idx, self.log.at
        turns = np.flatnonzero((user[1:] != user[:-1]) | (at[1:] != at[:-1])) + 1
        bounds = np.concatenate([[0], turns, [len(at)]])
        return bounds if len(at) else bounds[:1]

    @cached_property
    def page_of(self) -> Ints:
        """(E,) the page of each row."""
        return np.repeat(np.arange(len(self.page_ptr) - 1, dtype=np.int32), np.diff(self.page_ptr))

    @cached_property
    def years(self) -> Doubles:
        """(I, 2) the year and 1, both 0 where the year is not known."""
        year = self.log.items["year"].astype(np.float64)
        return np.stack([np.maximum(year, 0), year >= 0], axis=1)

    @cached_property
    def genre_fractions(self) -> Doubles:
        """(I, G) one over the number of genres at each genre of a film; nan for a film without any."""
        genres = self.log.items["genres"]
        with np.errstate(invalid="ignore"):
            fractions: Doubles = genres / genres.sum(axis=1, keepdims=True)
        return fractions


@dataclass(frozen=True)
class Pairs:
    """N pairs of a query and an item that may be recommended to it, and who recalled it."""

    past: PastIndex
    queries: Queries
    query: Longs  # (N,) non-decreasing
    item: Ints  # (N,)
    rank: Floats  # (N, C) in each channel's list, from 1; nan where it is not in there
    score: Floats  # (N, C) in each channel's list; nan where it is not in there
    best: Floats  # (Q, C) the highest score of each list; nan for an empty one
    pages: dict[tuple[float, ...], Doubles] = field(default_factory=dict, compare=False)
    """Counts by pages, by their parameters, as needed: see ``models.features.pages``."""

    @cached_property
    def indptr(self) -> Longs:
        """(Q + 1,) the rows of each query."""
        return np.searchsorted(self.query, np.arange(len(self.queries) + 1))

    @cached_property
    def past_of_items(self) -> Past:
        """The ratings of the items before the query."""
        return of_items(self.past.by_item, self.item, self.queries.at[self.query])


def hour(queries: Queries) -> Doubles:
    """Hour of the day, UTC."""
    return (queries.at // HOUR % 24).astype(np.float64)


def weekday(queries: Queries) -> Doubles:
    """0 for Monday."""
    return ((queries.at // DAY + 3) % 7).astype(np.float64)


def newest_items(
    queries: Queries, newest: PositiveInt, at_least: float = 0.0, at_most: float = math.inf
) -> Ints:
    """(Q, newest) items of the history, oldest first; -1 in front where it is shorter.

    Those alone that the user gave ``at_least`` and ``at_most`` so many stars.
    """
    log = queries.log
    return _newest_items(queries.start, queries.end, log.item_idx, log.rating, newest, at_least, at_most)


def minutes_since(queries: Queries, position: NonNegativeInt) -> Doubles:
    """Minutes since the newest but ``position``-th event: how fast the user has been rating."""
    row = queries.end - 1 - position
    exists = row >= queries.start
    return np.where(exists, (queries.at - _at(queries.log.at, row, exists)) / 60, np.nan)


def newest_rating(queries: Queries) -> Doubles:
    """The newest rating of the history."""
    exists = queries.end > queries.start
    return np.where(exists, _at(queries.log.rating, queries.end - 1, exists), np.nan).astype(np.float64)


def index_distance(pairs: Pairs, position: NonNegativeInt) -> Doubles:
    """Item number minus that of the newest but ``position``-th event; ids follow the catalogue's growth.

    People rate from lists, and lists have an order.
    """
    queries = pairs.queries
    row = queries.end - 1 - position
    exists = row >= queries.start
    item = np.where(exists, _at(queries.log.item_idx, row, exists), np.nan)
    distance: Doubles = pairs.item.astype(np.float64) - item[pairs.query]
    return distance


def year_distance(pairs: Pairs, newest: PositiveInt) -> Doubles:
    """The film's year minus the mean year of the newest films of the history."""
    years = pairs.past.years
    total, n = _sums_of_newest(pairs.queries, years, newest).T
    with np.errstate(invalid="ignore"):
        mean_year, own = total / n, years[:, 0] / years[:, 1]
    distance: Doubles = own[pairs.item] - mean_year[pairs.query]
    return distance


def genre_match(pairs: Pairs, newest: PositiveInt) -> Doubles:
    """Fraction of the newest films of the history that have a genre, the mean over the film's genres."""
    queries, genres = pairs.queries, pairs.past.log.items["genres"]
    n_films = np.minimum(queries.end - queries.start, newest)
    with np.errstate(invalid="ignore"):
        taste = _sums_of_newest(queries, genres, newest) / n_films[:, None]  # (Q, G)
    match: Doubles = np.einsum("ng,ng->n", taste[pairs.query], pairs.past.genre_fractions[pairs.item])
    return match


def rating_gap(pairs: Pairs) -> Doubles:
    """The item's mean rating minus the user's."""
    user = mean(of_users(pairs.past.by_user, pairs.queries))
    gap: Doubles = mean(pairs.past_of_items) - user[pairs.query]
    return gap


def n_channels(pairs: Pairs) -> Doubles:
    """Lists that hold the item."""
    holding: Longs = np.isfinite(pairs.rank).sum(axis=1)
    return holding.astype(np.float64)


def score(pairs: Pairs) -> NDArray[np.floating]:
    """(N, C) the item's score in each list; nan where it is not in there."""
    return pairs.score


def gap(pairs: Pairs) -> NDArray[np.floating]:
    """(N, C) the best score of each list minus the item's."""
    below: NDArray[np.floating] = pairs.best[pairs.query] - pairs.score
    return below


def discount(pairs: Pairs) -> NDArray[np.floating]:
    """(N, C) ``1 / log2(rank + 1)`` in each list."""
    discounted: NDArray[np.floating] = 1 / np.log2(pairs.rank + 1.0)
    return discounted


def followers(
    pairs: Pairs,
    position: NonNegativeInt,
    nearest: int,
    farthest: int,
    half_life_days: Positive,
    raters: PositiveInt = 2_000,
) -> Doubles:
    """How often, of late, others rated the item so near after the newest but ``position``-th one.

    The fraction of the ``raters`` newest earlier ratings of that film by other users, each fading with its
    age, which the user continued with the item ``nearest`` to ``farthest`` events later (negative: before),
    all strictly before the query's time; one rating that was continued with nothing is added.
    """
    log, queries, of_item = pairs.queries.log, pairs.queries, pairs.past.by_item
    return _followers(
        (queries.start, queries.end, queries.at),
        (log.item_idx, log.user_idx, log.at, log.indptr),
        (of_item.indptr, pairs.past.item_row, of_item.at),
        (pairs.indptr, pairs.item),
        (position, nearest, farthest, raters),
        half_life_days * DAY,
    )


def _at(values: NDArray[Any], rows: Longs, exists: Mask) -> NDArray[Any]:
    """The value of each row; any value where the row does not exist."""
    return values[np.where(exists, rows, 0)] if len(values) else np.zeros(rows.shape, values.dtype)


def _sums_of_newest(queries: Queries, table: NDArray[Any], newest: int) -> Doubles:
    """(Q, K) sums of the rows of a table (I, K) over the newest items of each history."""
    begin = np.maximum(queries.start, queries.end - newest)
    return _sums_of_rows(begin, queries.end, queries.log.item_idx, table)


@njit(parallel=True, cache=True)
def _newest_items(
    start: Longs, end: Longs, log_item: Ints, rating: Floats, newest: int, at_least: float, at_most: float
) -> Ints:
    found = np.full((len(start), newest), -1, dtype=np.int32)
    for query in prange(len(start)):
        position, row = newest, end[query]
        while position > 0 and row > start[query]:
            row -= 1
            if at_least <= rating[row] <= at_most:
                position -= 1
                found[query, position] = log_item[row]
    return found


@njit(parallel=True, cache=True)
def _sums_of_rows(begin: Longs, end: Longs, log_item: Ints, table: NDArray[Any]) -> Doubles:
    sums = np.zeros((len(begin), table.shape[1]))
    for query in prange(len(begin)):
        for row in range(begin[query], end[query]):
            for column in range(table.shape[1]):
                sums[query, column] += table[log_item[row], column]
    return sums


@njit(parallel=True, cache=True)
def _followers(
    queries: tuple[Longs, Longs, Longs],
    log: tuple[Ints, Ints, Longs, Longs],
    of_item: tuple[Longs, Ints, Longs],
    pairs: tuple[Longs, Ints],
    reach: tuple[int, int, int, int],
    half_life: float,
) -> Doubles:
    start, end, moment = queries
    log_item, log_user, at, user_ptr = log
    item_ptr, events, item_at = of_item
    pair_ptr, item = pairs
    position, nearest, farthest, raters = reach
    found = np.full(len(item), np.nan)
    for chunk in prange((len(start) + QUERIES - 1) // QUERIES):
        row_of = np.full(len(item_ptr) - 1, -1)
        for query in range(chunk * QUERIES, min((chunk + 1) * QUERIES, len(start))):
            newest = end[query] - 1 - position
            if newest < start[query]:
                continue
            for row in range(pair_ptr[query], pair_ptr[query + 1]):
                row_of[item[row]] = row
                found[row] = 0.0
            me, now, film = log_user[newest], moment[query], log_item[newest]
            total, left = 1.0, raters
            number = search(item_at, item_ptr[film], item_ptr[film + 1], now)
            while number > item_ptr[film] and left > 0:
                number -= 1
                event = events[number]
                if now - item_at[number] > HALF_LIVES * half_life:
                    break
                if log_user[event] == me:
                    continue
                left -= 1
                weight = 0.5 ** ((now - item_at[number]) / half_life)
                total += weight
                first = max(event + nearest, user_ptr[log_user[event]])
                last = min(event + farthest, user_ptr[log_user[event] + 1] - 1)
                for near in range(first, last + 1):
                    if at[near] < now and row_of[log_item[near]] >= 0:
                        found[row_of[log_item[near]]] += weight
            for row in range(pair_ptr[query], pair_ptr[query + 1]):
                found[row] /= total
                row_of[item[row]] = -1
    return found
