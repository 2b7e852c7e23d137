"""A user's favourite kinds of film, a kind being a genre and a decade, and the best films of each.

A mixture of kinds, with p(i | c) read from an inverted index of the best films of each kind:

    p(i | u) = sum over the favourite kinds c of u of p(c | u) p(i | c)
    p(c | u) = (n(c, u) + mu p(c)) / (n(u) + mu)

n(c, u) adds up the history's recency weight times rating, split evenly among the kinds of a film (Dirichlet
smoothing as in ``demographics``); p(i | c) is the fraction that film i has of the decayed popularity of its
kind. A user without history gets the kinds of everybody. Where films have authors or categories, such a
channel recalls by those.

Kinds are alike if the same users rate them: the cosine of their columns in the matrix of users and kinds.
With weight w kinds that are alike take part of the taste, s(c', c) being fractions of the similarities of c':

    p'(c | u) = (1 - w) p(c | u) + w sum over kinds c' of p(c' | u) s(c', c)
"""

from typing import Self

import numpy as np
from pydantic import PositiveFloat, PositiveInt, model_validator
from scipy.sparse import csr_array, diags_array, eye_array

from models.bounds import Fraction, Positive, only_where
from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Dataset, Floats, Ints, Longs, Queries
from models.history import decayed_history, interactions
from models.kinds import kinds_of_items
from models.neighbours import nearest, nearest_by_product, to_sparse
from models.recall.contract import Tables
from models.recall.popular import decayed_popularity
from models.sparse_product import best_of_product, recommend_by_product, sparse_from_state, sparse_state
from models.state import State


class AttributeConfig(Config):
    """The favourite kinds of a user, and the best films of a kind."""

    half_life: PositiveFloat = 365.0
    """Days after which a rating counts half in the popularity of a film."""
    decay: PositiveFloat = 10.0
    """Decay of a history, in items: the k-th newest weighs exp(-k / decay)."""
    smoothing: Positive = 10.0
    """Stars that everybody's kinds count for among those of a user (mu)."""
    favourites: PositiveInt = 20
    """Favourite kinds looked into for each user."""
    best: PositiveInt = 200
    """Best films held of each kind."""
    similar_weight: Fraction = 0.0
    """Weight of the kinds similar to the user's own: 0 looks into the own kinds alone."""
    n_neighbours: PositiveInt = 10
    """Similar kinds of each kind that take part."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        only_where(self.similar_weight > 0, "similar_weight is above 0", self, "n_neighbours")
        return self


class Attribute:
    """The best films of the user's favourite kinds.

    State: sparse rows of the kinds of each item, ``kinds_*`` (I, C), each row summing to 1; ``prior`` (C,),
    everybody's kinds; the inverted index ``best`` (C, N), items, and ``chance`` (C, N), p(i | c), padded
    with -1 and -inf. With similar kinds also ``similarity`` (C, C), sparse, each row summing to 1.
    """

    def __init__(self, config: AttributeConfig = AttributeConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        popularity = np.maximum(decayed_popularity(dataset, self.config.half_life), 0)
        kinds = kinds_of_items(dataset)
        self.state = index_of_kinds(kinds, popularity, popularity, self.config.best)
        if self.config.similar_weight:
            self.state |= sparse_state("similarity", similar_kinds(dataset, kinds, self.config.n_neighbours))
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        return recommend_by_product(self._favourites, films_of_kinds(self.state), queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables()

    def _favourites(self, queries: Queries) -> csr_array:
        """(B, C) chances of the favourite kinds of each query's user."""
        prior = self.state["prior"]
        kinds = sparse_from_state("kinds", self.state, len(prior))
        taste = taste_of_kinds(queries, kinds, prior, self.config.decay, self.config.smoothing)
        if weight := np.float32(self.config.similar_weight):
            similarity = sparse_from_state("similarity", self.state, len(prior))
            taste = (1 - weight) * taste + weight * (taste @ similarity)
        return to_sparse(nearest(taste, self.config.favourites), len(prior))


def index_of_kinds(kinds: csr_array, weight: Floats, everybody: Floats | Longs, n: int) -> State:
    """The state of a channel by kinds, from the kinds of items (I, C) and two weights of items (I,).

    The n best of each kind go by ``weight``, everybody's kinds by ``everybody``.
    """
    prior = kinds.T @ everybody
    best, chance = best_of_kinds(kinds, weight, n)
    of_everybody = {"prior": prior / max(float(prior.sum()), 1.0)}
    return sparse_state("kinds", kinds) | of_everybody | {"best": best, "chance": chance}


def films_of_kinds(state: State) -> csr_array:
    """(C, I) p(i | c) of the best items of each kind."""
    return to_sparse(Neighbours(state["best"], state["chance"]), state["kinds_indptr"].size - 1)


def taste_of_kinds(
    queries: Queries, kinds: csr_array, prior: Floats, decay: float, smoothing: float
) -> Floats:
    """(B, C) p(c | u) by the kinds of items (I, C) and those of everybody (C,): see the formula above."""
    liked = (decayed_history(queries, decay, rated=True) @ kinds).toarray()  # (B, C)
    taste: Floats = (liked + smoothing * prior) / (liked.sum(1, keepdims=True) + smoothing)
    return taste


def similar_kinds(dataset: Dataset, kinds: csr_array, n: int) -> csr_array:
    """(C, C) the n kinds nearest to each by the cosine of who rated them, as fractions of their sum."""
    rated = (interactions(dataset) @ kinds).tocsc()  # (U, C)
    length = np.sqrt((rated**2).sum(axis=0))
    unit = (rated @ diags_array(1 / np.maximum(length, np.finfo(np.float32).tiny))).tocsr()
    near = to_sparse(nearest_by_product(csr_array(unit.T), unit, n), kinds.shape[1])
    total = np.maximum(near.sum(axis=1), np.finfo(np.float32).tiny)
    return csr_array(diags_array(1 / total) @ near)


def best_of_kinds(kinds: csr_array, weight: Floats, n: int) -> tuple[Ints, Floats]:
    """The best items of each kind, and the fraction that each has of the kind's weights: (C, n) both.

    By the kinds of items (I, C) and weights (I,), those of 0 left out; padded with -1 and -inf.
    """
    films = ((kinds > 0).T @ diags_array(weight)).tocsr()  # (C, I)
    total = np.maximum(films.sum(1), np.finfo(np.float32).tiny)
    films.data /= np.repeat(total, np.diff(films.indptr))
    films.eliminate_zeros()
    each = eye_array(kinds.shape[1], dtype=np.float32, format="csr")
    none = np.zeros(kinds.shape[1], dtype=np.int64)
    return best_of_product(each, films, min(n, kinds.shape[0]), none, none, np.empty(0, dtype=np.int32))
