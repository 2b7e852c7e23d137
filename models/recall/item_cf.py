"""Item-based collaborative filtering: cosine of items, careful with users who rate everything.

Sarwar, Karypis, Konstan and Riedl, "Item-Based Collaborative Filtering Recommendation Algorithms" (2001),
https://doi.org/10.1145/371920.372071, with an inverse user frequency, as Breese, Heckerman and Kadie,
"Empirical Analysis of Predictive Algorithms for Collaborative Filtering" (1998),
https://arxiv.org/abs/1301.7363, have it for items: a user who rates everything says little. Here it is the
rows of unit length and the normalised neighbours of Deshpande and Karypis, "Item-Based Top-N Recommendation
Algorithms" (2004), https://doi.org/10.1145/963770.963776:

    f_u = |I_u|^-1/2
    s(i, j) = sum over users of both of f_u^2 / (|i| |j| + shrinkage),  |i|^2 = sum over users of i of f_u^2

divided by the largest s(i, .), so that the nearest neighbour of each item counts 1. An item is scored by the
similarities to the recency-weighted history.
"""

from typing import Self

import numpy as np
from numba import njit, prange
from pydantic import PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from models.bounds import NonNegative
from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Dataset, Doubles, Floats, Ints, Queries
from models.history import decayed_history, interactions
from models.neighbours import to_sparse
from models.recall.contract import Tables
from models.sparse_product import recommend_by_product
from models.state import State
from models.top_n import best_first, offer

ITEMS = 64
"""Items that share a scratch row over all items."""


class ItemCFConfig(Config):
    """Similarity of items, and how a history uses it."""

    shrinkage: NonNegative = 0.0
    """Number added to the denominator of a similarity: pulls those that rest on few users towards 0."""
    n_neighbours: PositiveInt = 200
    """Nearest items of each item."""
    decay: PositiveFloat = 4.0
    """Decay of a history, in items: the k-th newest weighs exp(-k / decay)."""


class ItemCF:
    """Neighbours of a recency-weighted history. State: ``neighbour`` and ``similarity`` (I, K)."""

    def __init__(self, config: ItemCFConfig = ItemCFConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        near = item_neighbours(dataset, self.config.n_neighbours, self.config.shrinkage)
        self.state = {"neighbour": near.item, "similarity": near.score}
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        weights = to_sparse(self._neighbours(), len(self.state["neighbour"]))
        return recommend_by_product(self._history, weights, queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables(item_similarity=self._neighbours())

    def _history(self, queries: Queries) -> csr_array:
        return decayed_history(queries, self.config.decay)

    def _neighbours(self) -> Neighbours:
        return Neighbours(self.state["neighbour"], self.state["similarity"])


def item_neighbours(dataset: Dataset, n: int, shrinkage: float = 0.0) -> Neighbours:
    """The n nearest items of each item by the normalised cosine of this module, (I, n)."""
    rated = interactions(dataset)
    raters = rated.T.tocsr()
    activity = np.maximum(np.diff(rated.indptr), 1)
    weight = 1 / activity  # f_u^2, (U,)
    norm = np.sqrt(raters @ weight)  # (I,)
    item, score = _nearest(
        (raters.indptr, raters.indices), (rated.indptr, rated.indices), weight, norm, shrinkage, n
    )
    nearest_one = np.where(score[:, :1] > 0, score[:, :1], 1)  # 1 where there is only padding
    return Neighbours(item, (score / nearest_one).astype(np.float32))


@njit(parallel=True, cache=True)
def _nearest(
    raters: tuple[Ints, Ints],
    rated: tuple[Ints, Ints],
    weight: Doubles,
    norm: Doubles,
    shrinkage: float,
    n: int,
) -> tuple[Ints, Floats]:
    """The n most similar items of each item and their similarities, (I, n), padded with -1 and -inf.

    Only cells that users of both reach are looked at and cleared, so an item costs its paths.
    """
    user_ptr, user = raters
    item_ptr, item = rated
    n_items = len(norm)
    items = np.full((n_items, n), -1, dtype=np.int32)
    scores = np.full((n_items, n), -np.inf, dtype=np.float32)
    runs = (n_items + ITEMS - 1) // ITEMS
    for run in prange(runs):
        dot = np.zeros(n_items)
        reached = np.empty(n_items, dtype=np.int32)
        for i in range(run, n_items, runs):  # popular and unpopular items in every run
            n_reached = 0
            for u in user[user_ptr[i] : user_ptr[i + 1]]:
                for j in item[item_ptr[u] : item_ptr[u + 1]]:
                    if dot[j] == 0:
                        reached[n_reached] = j
                        n_reached += 1
                    dot[j] += weight[u]
            size = 0
            for j in reached[:n_reached]:
                similarity = float(np.float32(dot[j] / (norm[i] * norm[j] + shrinkage)))
                if j != i and similarity > 0:
                    size = offer(similarity, j, items[i], scores[i], size)
                dot[j] = 0
            best_first(items[i], scores[i], size)
    return items, scores
