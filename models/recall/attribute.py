"""A user's favourite kinds of film, a kind being a genre and a decade, and the best films of each.

A mixture of kinds, with p(i | c) read from an inverted index of the best films of each kind:

    p(i | u) = sum over the favourite kinds c of u of p(c | u) p(i | c)
    p(c | u) = (n(c, u) + mu p(c)) / (n(u) + mu)

n(c, u) adds up the history's recency weight times rating, split evenly among the kinds of a film (Dirichlet
smoothing as in ``demographics``); p(i | c) is the fraction that film i has of the decayed popularity of its
kind. A user without history gets the kinds of everybody. Where films have authors or categories, such a
channel recalls by those.
"""

from typing import Self

import numpy as np
from pydantic import PositiveFloat, PositiveInt
from scipy.sparse import csr_array, diags_array

from models.bounds import Positive
from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Dataset, Floats, Queries
from models.history import decayed_history
from models.neighbours import nearest, to_sparse
from models.recall.contract import Tables
from models.recall.popular import decayed_popularity
from models.sparse_product import score_by_product, sparse_from_state, sparse_state
from models.state import State
from models.top_n import recommend_by_score


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


class Attribute:
    """The best films of the user's favourite kinds.

    State: sparse rows of the kinds of each item, ``kinds_*`` (I, C), each row summing to 1; ``prior`` (C,),
    everybody's kinds; the inverted index ``best`` (C, N), items, and ``chance`` (C, N), p(i | c), padded
    with -1 and -inf.
    """

    def __init__(self, config: AttributeConfig = AttributeConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        kinds = kinds_of_items(dataset)
        popularity = np.maximum(decayed_popularity(dataset, self.config.half_life), 0)
        prior = kinds.T @ popularity
        films = (kinds > 0).T @ diags_array(popularity)  # (C, I)
        films = films.toarray() / np.maximum(films.sum(1), np.finfo(np.float32).tiny)[:, None]
        best = nearest(films, min(self.config.best, dataset.n_items))
        self.state = sparse_state("kinds", kinds) | {
            "prior": prior / max(float(prior.sum()), 1.0),
            "best": best.item,
            "chance": best.score,
        }
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        return recommend_by_score(self._score, queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables()

    def _score(self, queries: Queries) -> Floats:
        prior, best = self.state["prior"], Neighbours(self.state["best"], self.state["chance"])
        kinds = sparse_from_state("kinds", self.state, len(prior))
        mu = self.config.smoothing
        liked = (decayed_history(queries, self.config.decay, rated=True) @ kinds).toarray()  # (B, C)
        taste = (liked + mu * prior) / (liked.sum(1, keepdims=True) + mu)
        favourites = nearest(taste, self.config.favourites)
        return score_by_product(to_sparse(favourites, len(prior)), to_sparse(best, kinds.shape[0]))  # (B, I)


def kinds_of_items(dataset: Dataset) -> csr_array:
    """The kinds (genre x decade) of each item, (I, C) float32, each row summing to 1.

    A film without a genre, or without a year, has a kind of its own for that; so every film has one.
    """
    nothing = np.zeros((dataset.n_items, 0), dtype=np.bool_)
    genres = np.asarray(dataset.items.get("genres", nothing), dtype=np.bool_)
    genres = np.column_stack([genres, ~genres.any(1)])  # (I, G + 1), the last column for no genre
    year = np.asarray(dataset.items.get("year", np.full(dataset.n_items, -1)))
    decade = np.where(year < 0, 0, 1 + year // 10).astype(np.int64)
    item, genre = np.nonzero(genres)
    _, kind = np.unique(genre * (int(decade.max(initial=0)) + 1) + decade[item], return_inverse=True)
    kinds = csr_array(
        (np.ones(len(item)), (item, kind)), shape=(dataset.n_items, int(kind.max(initial=-1)) + 1)
    )
    return (diags_array(1 / genres.sum(1)) @ kinds).tocsr().astype(np.float32)
