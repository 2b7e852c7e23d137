"""Functions that features.toml names: of a query (its history and time), and of a query and an item.

Those of a query map Q queries to (Q,) or (Q, L), those of a pair N pairs to (N,), those of lists N pairs to a
column a list (N, C). nan: not known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from models.dataset import DAY, HOUR, Dataset, Floats, Ints, Longs, Queries
from models.features.statistics import (
    Past,
    Ratings,
    Values,
    by_item,
    by_user,
    mean,
    of_items,
    of_users,
    sums_before,
)

FADED = 8
"""Half-lives after which an event is left out: it would weigh less than half a percent."""


@dataclass(frozen=True)
class Known:
    """A log and what is computed of it once for all queries."""

    log: Dataset

    @cached_property
    def by_user(self) -> Ratings:
        """Ratings of each user."""
        return by_user(self.log)

    @cached_property
    def by_item(self) -> Ratings:
        """Ratings of each item."""
        return by_item(self.log)

    @cached_property
    def years(self) -> Values:
        """(I, 2) the year and 1, both 0 where the year is not known."""
        year = self.log.items["year"].astype(np.float64)
        return np.stack([np.maximum(year, 0), year >= 0], axis=1)

    @cached_property
    def years_before(self) -> Values:
        """(E + 1, 2) sums of ``years`` over the rows of the log before each."""
        return sums_before(self.years[self.log.item_idx])

    @cached_property
    def genres_before(self) -> Values:
        """(E + 1, G) how many rows before each have a genre."""
        return sums_before(self.log.items["genres"][self.log.item_idx])


@dataclass(frozen=True)
class Pairs:
    """N pairs of a query and an item that may be recommended to it, and who recalled it."""

    known: Known
    queries: Queries
    query: Longs  # (N,) non-decreasing
    item: Ints  # (N,)
    rank: Floats  # (N, C) in each channel's list, from 1; nan where it is not in there
    score: Floats  # (N, C) there; nan where it is not in there
    best: Floats  # (Q, C) the highest score of each list; nan for an empty one

    @cached_property
    def indptr(self) -> Longs:
        """(Q + 1,) the rows of each query."""
        return np.searchsorted(self.query, np.arange(len(self.queries) + 1))

    @cached_property
    def past_of_items(self) -> Past:
        """What was known of the items when the question was asked."""
        return of_items(self.known.by_item, self.item, self.queries.at[self.query])


def hour(queries: Queries) -> Values:
    """Hour of the day, UTC."""
    return (queries.at // HOUR % 24).astype(np.float64)


def weekday(queries: Queries) -> Values:
    """0 for Monday."""
    return ((queries.at // DAY + 3) % 7).astype(np.float64)


def newest_items(queries: Queries, newest: int) -> Ints:
    """(Q, newest) items of the history, oldest first; -1 in front where it is shorter."""
    rows = queries.end[:, None] - np.arange(newest, 0, -1)
    there = rows >= queries.start[:, None]
    return np.where(there, _at(queries.log.item_idx, rows, there), -1).astype(np.int32)


def minutes_since(queries: Queries, place: int) -> Values:
    """Minutes since the newest but ``place``-th event: how fast the user has been rating."""
    row = queries.end - 1 - place
    there = row >= queries.start
    return np.where(there, (queries.at - _at(queries.log.at, row, there)) / 60, np.nan)


def newest_rating(queries: Queries) -> Values:
    """The newest rating of the history."""
    there = queries.end > queries.start
    return np.where(there, _at(queries.log.rating, queries.end - 1, there), np.nan).astype(np.float64)


def index_distance(pairs: Pairs, place: int) -> Values:
    """Item number minus that of the newest but ``place``-th event; ids follow the catalogue's growth.

    People rate from lists, and lists have an order.
    """
    queries = pairs.queries
    row = queries.end - 1 - place
    there = row >= queries.start
    item = np.where(there, _at(queries.log.item_idx, row, there), np.nan)
    distance: Values = pairs.item.astype(np.float64) - item[pairs.query]
    return distance


def year_distance(pairs: Pairs, newest: int) -> Values:
    """The film's year minus the mean year of the newest films of the history."""
    known = pairs.known
    begin, end = _newest(pairs.queries, newest)
    year, n = (known.years_before[end] - known.years_before[begin]).T
    with np.errstate(invalid="ignore"):
        mean_year, own = year / n, known.years[:, 0] / known.years[:, 1]
    distance: Values = own[pairs.item] - mean_year[pairs.query]
    return distance


def genre_match(pairs: Pairs, newest: int) -> Values:
    """Mean share, over the film's genres, of the newest films of the history that have the genre."""
    known = pairs.known
    begin, end = _newest(pairs.queries, newest)
    with np.errstate(invalid="ignore"):
        taste = (known.genres_before[end] - known.genres_before[begin]) / (end - begin)[:, None]  # (Q, G)
        genres = pairs.queries.log.items["genres"]
        of_film = genres / genres.sum(axis=1, keepdims=True)  # (I, G)
    match: Values = np.einsum("ng,ng->n", taste[pairs.query], of_film[pairs.item])
    return match


def rating_gap(pairs: Pairs) -> Values:
    """The item's mean rating minus the user's."""
    user = mean(of_users(pairs.known.by_user, pairs.queries))
    gap: Values = mean(pairs.past_of_items) - user[pairs.query]
    return gap


def n_channels(pairs: Pairs) -> Values:
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
    share: NDArray[np.floating] = 1 / np.log2(pairs.rank + 1.0)
    return share


def followers(pairs: Pairs, place: int, nearest: int, farthest: int, half_life_days: float) -> Values:
    """How often, of late, others rated the item so near after the newest but ``place``-th one.

    The share of the earlier ratings of that film by other users, each fading with its age, which the user
    continued with the item ``nearest`` to ``farthest`` events later (negative: before), all strictly before
    the query's time; one rating that was continued with nothing is added.
    """
    log, queries = pairs.queries.log, pairs.queries
    return _followers(
        (queries.start, queries.end, queries.at),
        (log.item_idx, log.user_idx, log.at, log.indptr),
        (pairs.known.by_item.indptr, pairs.known.by_item.row),
        (pairs.indptr, pairs.item),
        (place, nearest, farthest),
        half_life_days * DAY,
    )


OF_QUERY: dict[str, Callable[..., NDArray[np.generic]]] = {
    "hour": hour,
    "weekday": weekday,
    "newest_items": newest_items,
    "minutes_since": minutes_since,
    "newest_rating": newest_rating,
}

OF_PAIR: dict[str, Callable[..., Values]] = {
    "index_distance": index_distance,
    "year_distance": year_distance,
    "genre_match": genre_match,
    "rating_gap": rating_gap,
    "n_channels": n_channels,
    "followers": followers,
}

OF_LISTS: dict[str, Callable[[Pairs], NDArray[np.floating]]] = {
    "score": score,
    "gap": gap,
    "discount": discount,
}


def _at(values: NDArray[Any], rows: Longs, there: NDArray[np.bool_]) -> NDArray[Any]:
    """Values of rows, some of which are not there and get any."""
    return values[np.where(there, rows, 0)] if len(values) else np.zeros(rows.shape, values.dtype)


def _newest(queries: Queries, newest: int) -> tuple[Longs, Longs]:
    return np.maximum(queries.start, queries.end - newest), queries.end


@njit(parallel=True, cache=True)
def _followers(
    asked: tuple[Longs, Longs, Longs],
    log: tuple[Ints, Ints, Longs, Longs],
    of_item: tuple[Longs, Longs],
    pairs: tuple[Longs, Ints],
    reach: tuple[int, int, int],
    half_life: float,
) -> Values:
    start, end, moment = asked
    log_item, log_user, at, user_ptr = log
    item_ptr, events = of_item
    pair_ptr, item = pairs
    place, nearest, farthest = reach
    found = np.full(len(item), np.nan)
    for query in prange(len(start)):
        newest = end[query] - 1 - place
        if newest < start[query]:
            continue
        row_of = np.full(len(item_ptr) - 1, -1)
        for row in range(pair_ptr[query], pair_ptr[query + 1]):
            row_of[item[row]] = row
            found[row] = 0.0
        me, now, film = log_user[newest], moment[query], log_item[newest]
        total = 1.0
        for number in range(item_ptr[film + 1] - 1, item_ptr[film] - 1, -1):
            event = events[number]
            if at[event] >= now or log_user[event] == me:
                continue
            if now - at[event] > FADED * half_life:
                break
            weight = 0.5 ** ((now - at[event]) / half_life)
            total += weight
            first = max(event + nearest, user_ptr[log_user[event]])
            last = min(event + farthest, user_ptr[log_user[event] + 1] - 1)
            for near in range(first, last + 1):
                if at[near] < now and row_of[log_item[near]] >= 0:
                    found[row_of[log_item[near]]] += weight
        for row in range(pair_ptr[query], pair_ptr[query + 1]):
            found[row] /= total
    return found
