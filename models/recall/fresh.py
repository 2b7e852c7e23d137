"""Films with few ratings or none, by the content that a user likes: genres and years.

The kinds of a film, genres and decades, and the user's taste for them are those of ``attribute``; here a kind
c has the fresh films alone, the newer the heavier:

    w(u, i) = sum over kinds c of  p(c | u) p(i | c),    p(i | c) ~ 2^(-years since the film's / half-life)

Where nobody has rated, all films of a kind look alike: the same few would be in everybody's list and the
others in nobody's. So the list is a draw, film by film, in proportion to w: the order of log w + g with g of
Gumbel's distribution (Efraimidis & Spirakis 2006, https://doi.org/10.1016/j.ipl.2005.11.003, in logarithms),
the same for a user and a film as long as the seed is.
"""

from typing import Self

import numpy as np
from numba import njit, prange
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from models.bounds import NonNegative, Positive
from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Floats, Ints, Queries
from models.kinds import kinds_of_items
from models.recall.attribute import films_of_kinds, index_of_kinds, taste_of_kinds
from models.recall.contract import Tables
from models.sparse_product import recommend_by_product, sparse_from_state
from models.splitmix import GOLDEN, mix, unit
from models.state import State


class FreshConfig(Config):
    """Which films are fresh, and how they are drawn."""

    max_ratings: NonNegativeInt = 5
    """Ratings that a fresh film has at most."""
    half_life_years: Positive = 10.0
    """Years since a film's year after which it counts half."""
    decay: PositiveFloat = 10.0
    """Decay of a history, in items: the k-th newest weighs exp(-k / decay)."""
    smoothing: Positive = 10.0
    """Stars that everybody's kinds count for among those of a user (mu)."""
    best: PositiveInt = 500
    """Fresh films held of each kind, the newest."""
    temperature: NonNegative = 1.0
    """Weight of chance in the order: 0 takes the best, 1 draws in proportion to the score."""
    seed: NonNegativeInt = 0
    """Seed of the draw."""


class Fresh:
    """Fresh films of the kinds that a user likes.

    State: sparse rows of the kinds of each item, ``kinds_*`` (I, C), each row summing to 1; ``prior`` (C,),
    everybody's kinds; the index ``best`` (C, N), fresh items, and ``chance`` (C, N), p(i | c), padded with -1
    and -inf.
    """

    def __init__(self, config: FreshConfig = FreshConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        count = np.bincount(dataset.item_idx, minlength=dataset.n_items)
        newness = np.exp2(-years_since(dataset) / self.config.half_life_years)
        weight = np.where(count <= self.config.max_ratings, newness, 0).astype(np.float32)
        everybody = count + 1  # no kind is beyond everybody's taste
        self.state = index_of_kinds(kinds_of_items(dataset), weight, everybody, self.config.best)
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        found = recommend_by_product(self._taste, films_of_kinds(self.state), queries, n, filter_seen)
        with np.errstate(divide="ignore"):
            score = np.log(np.maximum(found.score, 0))  # that of padding stays -inf
        drawn = score + np.float32(self.config.temperature) * gumbel(
            queries.user_idx, found.item, self.config.seed
        )
        score = np.where(found.item >= 0, drawn, -np.inf).astype(np.float32)
        order = np.lexsort((found.item, -score), axis=-1)
        return Candidates(*(np.take_along_axis(values, order, axis=1) for values in (found.item, score)))

    def tables(self) -> Tables:
        return Tables()

    def _taste(self, queries: Queries) -> csr_array:
        """(B, C) chances of all kinds for each query's user."""
        prior = self.state["prior"]
        kinds = sparse_from_state("kinds", self.state, len(prior))
        return csr_array(taste_of_kinds(queries, kinds, prior, self.config.decay, self.config.smoothing))


def years_since(dataset: Dataset) -> Ints:
    """(I,) years from an item's own to that of as_of, at least 0; of unknown year as many as the oldest."""
    now = dataset.year
    year = np.asarray(dataset.items.get("year", np.full(dataset.n_items, -1)), dtype=np.int32)
    oldest = year[year >= 0].min(initial=now)
    years: Ints = np.maximum(now - np.where(year >= 0, year, oldest), 0).astype(np.int32)
    return years


@njit(parallel=True, cache=True)
def gumbel(user_idx: Ints, item: Ints, seed: int) -> Floats:
    """(B, n) numbers of Gumbel's distribution, by the seed, the user and the item (B, n)."""
    found = np.zeros(item.shape, dtype=np.float32)
    for row in prange(len(item)):
        of_user = mix(mix(np.uint64(seed) + GOLDEN) + np.uint64(user_idx[row]))
        for column in range(item.shape[1]):
            if item[row, column] >= 0:
                chance = unit(mix(of_user + GOLDEN * np.uint64(item[row, column] + 1)))
                found[row, column] = -np.log(-np.log(chance + 2.0**-33))
    return found
