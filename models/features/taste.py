"""Features of what a user likes, read from the history: genres, years, franchises."""

from zlib import crc32

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from pydantic import PositiveInt

from models.bounds import NonNegative, Positive
from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Mask, Queries
from models.features.compute import Pairs, PastIndex, newest_items

STEP = 256
"""Rows between two that counts of genres are kept of."""


def median_year(queries: Queries) -> Doubles:
    """Median year of the films of the history, those of unknown year left out."""
    year = np.asarray(queries.log.items["year"], dtype=np.int32)
    return _median_years(queries.start, queries.end, queries.log.item_idx, year)


def newest_years(queries: Queries, newest: PositiveInt) -> Ints:
    """(Q, newest) years of the newest films, oldest film first; -1 for none and for an unknown year."""
    return np.append(queries.log.items["year"], -1)[newest_items(queries, newest)].astype(np.int32)


def newest_genre_sets(queries: Queries, newest: PositiveInt) -> Ints:
    """(Q, newest) the ``genre_sets`` of the newest films, oldest film first; -1 for none."""
    return np.append(genre_sets(queries.log), -1)[newest_items(queries, newest)].astype(np.int32)


def genre_sets(log: Dataset) -> Ints:
    """(I,) a hash of 31 bits of all genres of each film together; -1 for a film without any.

    A genre that is new to the catalogue changes that of no film without it.
    """
    genres = np.asarray(log.items["genres"], dtype=np.bool_)
    of_genre = np.array([crc32(str(genre).encode()) for genre in range(genres.shape[1])], dtype=np.int64)
    found = np.bitwise_xor.reduce(np.where(genres, of_genre & np.iinfo(np.int32).max, 0), axis=1, initial=0)
    return np.where(genres.any(axis=1), found, -1).astype(np.int32)


def top_genres(pairs: Pairs, n: PositiveInt = 3, prior: Positive = 20.0) -> Mask:
    """(Q, G) the n genres that the user rates more than others do, by smoothed lift.

    With n(u) ratings of a user, c of them in genre g, and p(g) the fraction that g has of all ratings before
    the query: lift = (c + prior p(g)) / ((n(u) + prior) p(g)). Ties by the order of the genres.
    """
    queries, genres = pairs.queries, pairs.past.log.items["genres"]
    count = _sums(queries, genres, None)  # (Q, G)
    everybody = _genre_counts(pairs.past, queries.at)
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = everybody / np.maximum(everybody.sum(axis=1, keepdims=True), 1)
        lift = (count + prior * fraction) / fraction
    lift = np.where(count > 0, lift, -np.inf)
    order = np.argsort(-lift, axis=1, kind="stable")[:, :n]
    top: Mask = np.zeros(lift.shape, dtype=np.bool_)
    np.put_along_axis(top, order, np.take_along_axis(count > 0, order, axis=1), axis=1)
    return top


def genre_rating(pairs: Pairs, prior: NonNegative) -> Doubles:
    """The user's mean rating of the film's genres, the mean over them.

    Of each genre with ``prior`` pseudo-ratings at the user's mean of all films.
    """
    return _on_genres(pairs, pairs.queries.log.rating, prior)


def genre_liked(pairs: Pairs, prior: NonNegative, stars: Positive = 4.0) -> Doubles:
    """The fraction of the films of the film's genres that the user gave so many stars, smoothed likewise."""
    return _on_genres(pairs, (pairs.queries.log.rating >= stars).astype(np.float32), prior)


def franchise_watched(pairs: Pairs) -> Doubles:
    """Other films of the film's franchise in the history; nan for a film that is of none."""
    franchise = np.asarray(pairs.past.log.items["franchise"], dtype=np.int32)
    queries = pairs.queries
    return _watched(queries.start, queries.end, queries.log.item_idx, pairs.indptr, pairs.item, franchise)


def _on_genres(pairs: Pairs, value: Floats, prior: float) -> Doubles:
    """(N,) mean value (E,) of a history's events by genre, smoothed, averaged over the film's genres."""
    queries, genres = pairs.queries, pairs.past.log.items["genres"]
    count, total = _sums(queries, genres, None), _sums(queries, genres, value)  # (Q, G)
    every = np.ones((len(genres), 1), dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        own = _sums(queries, every, value) / _sums(queries, every, None)  # (Q, 1)
        smoothed = (total + prior * own) / (count + prior)
    found: Doubles = np.einsum("ng,ng->n", smoothed[pairs.query], pairs.past.genre_fractions[pairs.item])
    return found


def _sums(queries: Queries, table: NDArray[np.generic], value: Floats | None) -> Doubles:
    """(Q, K) sums of the rows of a table (I, K) over each history, times the value (E,) of each event."""
    return _sums_of_history(queries.start, queries.end, queries.log.item_idx, table, value)


def _genre_counts(past: PastIndex, at: Longs) -> Doubles:
    """(Q, G) ratings of everybody before each moment by genre."""
    everyone, log = past.by_item.everyone, past.log
    genres = np.asarray(log.items["genres"], dtype=np.bool_)
    sums = _genre_sums(everyone.row, log.item_idx, genres)
    return _genres_before(everyone.row, log.item_idx, genres, sums, everyone.n_ratings(at))


@njit(parallel=True, cache=True)
def _median_years(start: Longs, end: Longs, log_item: Ints, year: Ints) -> Doubles:
    found = np.full(len(start), np.nan)
    for query in prange(len(start)):
        years = year[log_item[start[query] : end[query]]]
        years = years[years >= 0]
        if len(years):
            found[query] = np.median(years)
    return found


@njit(parallel=True, cache=True)
def _sums_of_history(
    start: Longs, end: Longs, log_item: Ints, table: NDArray[np.generic], value: Floats | None
) -> Doubles:
    sums = np.zeros((len(start), table.shape[1]))
    for query in prange(len(start)):
        for row in range(start[query], end[query]):
            weight = 1.0 if value is None else np.float64(value[row])
            for column in range(table.shape[1]):
                sums[query, column] += weight * table[log_item[row], column]
    return sums


@njit(cache=True)
def _genre_sums(time_row: Ints, log_item: Ints, genres: Mask) -> Doubles:
    sums = np.zeros((len(time_row) // STEP + 1, genres.shape[1]))
    total = np.zeros(genres.shape[1])
    for number in range(len(time_row)):
        total += genres[log_item[time_row[number]]]
        if (number + 1) % STEP == 0:
            sums[(number + 1) // STEP] = total
    return sums


@njit(parallel=True, cache=True)
def _genres_before(time_row: Ints, log_item: Ints, genres: Mask, sums: Doubles, end: Longs) -> Doubles:
    found = np.zeros((len(end), genres.shape[1]))
    for query in prange(len(end)):
        found[query] = sums[end[query] // STEP]
        for number in range(end[query] // STEP * STEP, end[query]):
            found[query] += genres[log_item[time_row[number]]]
    return found


@njit(cache=True)
def _watched(start: Longs, end: Longs, log_item: Ints, indptr: Longs, item: Ints, franchise: Ints) -> Doubles:
    found = np.full(len(item), np.nan)
    count = np.zeros(franchise.max() + 1 if len(franchise) else 0)
    for query in range(len(start)):
        for row in range(start[query], end[query]):
            if franchise[log_item[row]] >= 0:
                count[franchise[log_item[row]]] += 1
        for pair in range(indptr[query], indptr[query + 1]):
            if franchise[item[pair]] >= 0:
                found[pair] = count[franchise[item[pair]]]
        for row in range(start[query], end[query]):
            if franchise[log_item[row]] >= 0:
                count[franchise[log_item[row]]] = 0
    return found
