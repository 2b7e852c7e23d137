"""Reasons: the channels that matter for a recommended film, and the watched film that explains it best."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numba import njit, prange

from models.candidates import Neighbours
from models.dataset import Floats, Ints, Longs, Mask, Queries
from models.merge import MAX_CHANNELS
from models.rank.candidates import LIKED_STARS

QUERIES = 64
"""Queries that share scratch rows of all items, which are cleared where they touched them."""

MOST_NAMED = 5
"""Channels named for a film at most."""

ENOUGH = 0.8
"""Fraction of the merged score that the named channels make up, if so many do."""


@dataclass(frozen=True)
class Evidence:
    """Films by how alike they are: what a reason may be made of."""

    channel: Longs  # (S,) numbers of the channels that have similarities
    neighbour: Ints  # (S, I, K) the nearest films of each film, padded with -1
    similarity: Floats  # (S, I, K) 1 for the nearest one, 0 for padding
    genres: Mask  # (I, G)
    community: Ints  # (I,) -1 for none


def evidence(similarities: dict[int, Neighbours], genres: Mask, community: Ints) -> Evidence:
    """Evidence of lists of neighbours (I, K) of equal length, by the number of their channel."""
    width = max((of.item.shape[1] for of in similarities.values()), default=0)
    neighbour = np.full((len(similarities), len(community), width), -1, dtype=np.int32)
    similarity = np.zeros(neighbour.shape, dtype=np.float32)
    for row, of in enumerate(similarities.values()):
        similar = (of.item >= 0) & (of.score > 0)
        neighbour[row][similar] = of.item[similar]
        np.divide(of.score, of.score[:, :1], where=similar, out=similarity[row])
    numbers = np.array(list(similarities), dtype=np.int64)
    return Evidence(numbers, neighbour, similarity, genres, community)


def strongest(contribution: Floats) -> Ints:
    """(B, n, M) the channels that matter for each film, by what they give to its merged score (B, n, C).

    As few as make up most of the score (``ENOUGH``), at most five, the strongest first, padded with -1.
    """
    order = np.argsort(-contribution, axis=-1, kind="stable")[..., :MOST_NAMED]
    part = np.take_along_axis(contribution, order, axis=-1)
    before = np.cumsum(part, axis=-1) - part
    matters = (part > 0) & (before < ENOUGH * contribution.sum(axis=-1, keepdims=True))
    return np.where(matters, order, -1).astype(np.int32)


def names(channels: list[str], numbers: Ints) -> pl.Series:
    """The list of names of each row of channel numbers (N, M), padded with -1."""
    digits = (MAX_CHANNELS + 1) ** np.arange(numbers.shape[1], dtype=np.int64)
    _, first, row = np.unique((numbers + 1) @ digits, return_index=True, return_inverse=True)
    lists = [[channels[number] for number in numbers[one] if number >= 0] for one in first]
    return pl.Series("channels", lists, dtype=pl.List(pl.String)).gather(row)


def because(
    item: Ints, queries: Queries, contribution: Floats, named: Ints, found: Evidence, decay: float
) -> tuple[Ints, Mask]:
    """(B, n) the film of the history that explains each item best, -1 for none; whether the user liked it.

    ``item`` is (B, n), padded with -1; ``contribution`` (B, n, C) is what each channel gives to its merged
    score, ``named`` (B, n, M) are those that its row names. A watched film explains an item by

        sum over channels: contribution x similarity x exp(-k / decay)

    for the k-th newest film of the history: people remember what they just saw. It must be plausible: share a
    genre or the community with the item, or be its nearest film by a channel that is named. Of plausible
    films the strongest that the user liked explains, rated four stars or above the user's mean; without any,
    the strongest.
    """
    return _because(
        item,
        (queries.start, queries.end, queries.log.item_idx, queries.log.rating),
        contribution,
        named,
        (found.channel, found.neighbour, found.similarity),
        found.genres,
        found.community,
        decay,
    )


@njit(parallel=True, cache=True)
def _because(
    item: Ints,
    history: tuple[Longs, Longs, Ints, Floats],
    contribution: Floats,
    named: Ints,
    near: tuple[Longs, Ints, Floats],
    genres: Mask,
    community: Ints,
    decay: float,
) -> tuple[Ints, Mask]:
    start, end, log_item, log_rating = history
    channel, neighbour, similarity = near
    rows, n = item.shape
    n_items, width = len(community), neighbour.shape[2]
    cause = np.full((rows, n), -1, dtype=np.int32)
    cause_liked = np.zeros((rows, n), dtype=np.bool_)
    for chunk in prange((rows + QUERIES - 1) // QUERIES):
        age = np.full(n_items, -1, dtype=np.int32)  # films since, -1 for one that was not watched
        liked = np.zeros(n_items, dtype=np.bool_)
        strength = np.zeros(n_items, dtype=np.float32)
        is_nearest = np.zeros(n_items, dtype=np.bool_)
        reached = np.empty(max(1, len(channel) * width), dtype=np.int32)
        for row in range(chunk * QUERIES, min((chunk + 1) * QUERIES, rows)):
            begin, stop = start[row], end[row]
            mean = log_rating[begin:stop].mean() if stop > begin else 0.0
            for event in range(begin, stop):
                age[log_item[event]] = stop - 1 - event
                liked[log_item[event]] = log_rating[event] >= LIKED_STARS or log_rating[event] > mean
            for rank0 in range(n):
                wanted, n_reached = item[row, rank0], 0
                if wanted < 0 or begin == stop:
                    continue
                for number in range(len(channel)):
                    given = contribution[row, rank0, channel[number]]
                    if given <= 0:
                        continue
                    for k in range(width):
                        watched = neighbour[number, wanted, k]
                        if watched < 0 or age[watched] < 0:
                            continue
                        if strength[watched] == 0:
                            reached[n_reached] = watched
                            n_reached += 1
                        strength[watched] += given * similarity[number, wanted, k]
                        if k == 0 and (named[row, rank0] == channel[number]).any():
                            is_nearest[watched] = True
                best = np.float32(0)
                for watched in reached[:n_reached]:
                    value = np.float32(strength[watched] * np.exp(-age[watched] / decay))
                    plausible = (
                        is_nearest[watched]
                        or (community[wanted] >= 0 and community[wanted] == community[watched])
                        or (genres[wanted] & genres[watched]).any()
                    )
                    better = (liked[watched] and not cause_liked[row, rank0]) or (
                        liked[watched] == cause_liked[row, rank0] and value > best
                    )
                    if plausible and better:
                        cause[row, rank0], cause_liked[row, rank0], best = watched, liked[watched], value
                    strength[watched], is_nearest[watched] = 0, False
            for event in range(begin, stop):
                age[log_item[event]] = -1
                liked[log_item[event]] = False
    return cause, cause_liked
