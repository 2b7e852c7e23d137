"""Items that a user is not to be shown: those the user asked not to see, and genres disliked often enough.

A genre g is blocked for a user who has disliked n(g) of its m(g) films so far, by the history of the query,
where n(g) >= ``genre_dislikes`` and n(g) >= ``genre_fraction`` m(g). Unlike what was shown, what is blocked
stays so: it comes back only where a list would else be shorter than it must be.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from pydantic import PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from models.bounds import Fraction
from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Ints, Longs, Mask, Queries


class BlockListConfig(Config):
    """Films that a user is not to be shown: asked for by the user, or told from what the user disliked."""

    requests: bool = True
    """Whether films that a user asked not to see are left out."""
    genre_dislikes: PositiveInt | None = None
    """Disliked films of a genre from which on all of the genre is left out; never by default."""
    genre_fraction: Fraction = 0.7
    """Fraction of the films of that genre in a history that are disliked, at least."""
    dislike: PositiveFloat = 2.0
    """Stars up to which a rated film is disliked."""


class Barred(NamedTuple):
    """The blocked items of b queries: some by themselves, some by their genres."""

    start: Longs  # (b,) those of query q are item[start[q]:end[q]], ascending
    end: Longs  # (b,)
    item: Ints
    genre: Mask  # (b, G) the genres that are blocked
    genre_of: Mask  # (I, G)


@dataclass(frozen=True)
class BlockList:
    """The requests of users, and what tells disliked genres."""

    config: BlockListConfig
    user_idx: Ints  # (E,) ascending, with the items sorted by user and item
    item_idx: Ints  # (E,)
    genres: Mask  # (I, G)

    def barred(self, queries: Queries) -> Barred:
        """The blocked items of the users of the queries."""
        start = np.searchsorted(self.user_idx, queries.user_idx, side="left")
        end = np.searchsorted(self.user_idx, queries.user_idx, side="right")
        return Barred(start, end, self.item_idx, self.blocked_genres(queries), self.genres)

    def blocked_genres(self, queries: Queries) -> Mask:
        """(B, G) the genres that are disliked often enough."""
        least = self.config.genre_dislikes
        if least is None:
            return np.zeros((len(queries), self.genres.shape[1]), dtype=np.bool_)
        alone = queries.alone()
        log, indptr = alone.log, np.append(0, alone.end)
        disliked = (log.rating <= self.config.dislike).astype(np.float32)
        of_genre = self.genres.astype(np.float32)
        n_disliked, n_rated = (
            csr_array((weight, log.item_idx, indptr), shape=(len(queries), log.n_items)) @ of_genre
            for weight in (disliked, np.ones_like(disliked))
        )
        often: Mask = (n_disliked >= least) & (n_disliked >= self.config.genre_fraction * n_rated)
        return often

    def requested(self, candidates: Candidates, queries: Queries) -> Mask:
        """(B, n) which candidates the users of the queries asked not to see."""
        barred = self.barred(queries)
        return _among(candidates.item, barred._replace(genre=np.zeros_like(barred.genre)))

    def among(self, candidates: Candidates, queries: Queries) -> Mask:
        """(B, n) which candidates are blocked for the users of the queries."""
        return _among(candidates.item, self.barred(queries))


def block_list(config: BlockListConfig, log: Dataset, user_idx: Ints, item_idx: Ints) -> BlockList | None:
    """The block list of a configuration, with requests (E,) sorted by user and item; None if it is empty."""
    if not len(user_idx) and config.genre_dislikes is None:
        return None
    genres = log.items.get("genres", np.zeros((log.n_items, 0), dtype=np.bool_))
    return BlockList(config, user_idx, item_idx, genres.astype(np.bool_))


def nothing_barred(n_queries: int, n_items: int) -> Barred:
    """No blocked item."""
    none = np.zeros(n_queries, dtype=np.int64)
    no_genre = np.zeros((n_queries, 0), dtype=np.bool_)
    return Barred(none, none, np.empty(0, np.int32), no_genre, np.zeros((n_items, 0), dtype=np.bool_))


@njit(cache=True)
def is_barred(barred: Barred, row: int, item: int) -> bool:
    """Whether the item is blocked for query ``row``."""
    for genre in range(barred.genre.shape[1]):
        if barred.genre[row, genre] and barred.genre_of[item, genre]:
            return True
    begin, end = barred.start[row], barred.end[row]
    position = begin + np.searchsorted(barred.item[begin:end], item)
    return bool(position < end and barred.item[position] == item)


@njit(parallel=True, cache=True)
def _among(item: Ints, barred: Barred) -> Mask:
    found = np.zeros(item.shape, dtype=np.bool_)
    for row in prange(len(item)):
        for column in range(item.shape[1]):
            found[row, column] = item[row, column] >= 0 and is_barred(barred, row, item[row, column])
    return found
