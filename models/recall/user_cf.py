"""User-based collaborative filtering: the newest films of the users most like the one who asks.

Resnick, Iacovou, Suchak, Bergstrom and Riedl, "GroupLens: An Open Architecture for Collaborative Filtering
of Netnews" (1994), https://doi.org/10.1145/192844.192905, with the inverse user frequency of Breese,
Heckerman and Kadie, "Empirical Analysis of Predictive Algorithms for Collaborative Filtering" (1998),
https://arxiv.org/abs/1301.7363, by which sharing a rare film says more than sharing a common one:

    f_i = log(U / |U_i|)
    s(q, v) = sum over i in both of h_qi f_i^2 / (|q| |v|),  |v|^2 = sum over i of v of f_i^2

h_qi being the recency weight of the query's history. An item scores the sum of s(q, v) over the nearest
users v among whose newest items it is, newer ones heavier.
"""

from typing import Self

import numpy as np
from pydantic import PositiveFloat, PositiveInt
from scipy.sparse import diags_array

from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Dataset, Floats, Queries, queries_at
from models.history import decayed_history, interactions
from models.neighbours import to_sparse
from models.recall.contract import Tables
from models.sparse_product import score_by_product, sparse_from_state, sparse_state
from models.state import State
from models.top_n import best_of_rows, recommend_by_score


class UserCFConfig(Config):
    """The nearest users, and how their items count."""

    n_neighbours: PositiveInt = 200
    """Nearest users of each query."""
    newest: PositiveInt = 100
    """Newest items of each neighbour that count."""
    decay: PositiveFloat = 7.0
    """Decay of a history, in items: the k-th newest weighs exp(-k / decay)."""
    neighbour_decay: PositiveFloat = 30.0
    """Decay of a neighbour's items, in items: the k-th newest weighs exp(-k / neighbour_decay)."""


class UserCF:
    """The newest items of the nearest users.

    State: sparse rows ``taste_*`` (I, U), f_i^2 / |v| of each rater v of an item i, and ``recent_*`` (U, I),
    the newest items of each user with their weights.
    """

    def __init__(self, config: UserCFConfig = UserCFConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        rated = interactions(dataset)
        raters = np.bincount(rated.indices, minlength=dataset.n_items)
        frequency = np.log(dataset.n_users / np.maximum(raters, 1)) ** 2  # f_i^2
        norm = np.sqrt(rated @ frequency)
        scale = 1 / np.where(norm > 0, norm, 1)
        taste = (diags_array(frequency) @ rated.T @ diags_array(scale)).tocsr()
        recent = decayed_history(queries_at(dataset), self.config.neighbour_decay, self.config.newest)
        self.state = sparse_state("taste", taste) | sparse_state("recent", recent)
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        return recommend_by_score(self._score, queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables()

    def _score(self, queries: Queries) -> Floats:
        n_users, n_items = len(self.state["recent_indptr"]) - 1, len(self.state["taste_indptr"]) - 1
        taste = sparse_from_state("taste", self.state, n_users)
        recent = sparse_from_state("recent", self.state, n_items)
        # Dividing by |q| would change no order among the users near q.
        alike = score_by_product(decayed_history(queries, self.config.decay), taste)  # (B, U)
        fitted = np.flatnonzero((queries.user_idx >= 0) & (queries.user_idx < n_users))
        alike[fitted, queries.user_idx[fitted]] = -np.inf  # nobody is their own neighbour
        near = Neighbours(*best_of_rows(alike, self.config.n_neighbours))
        return score_by_product(to_sparse(near, n_users), recent)  # (B, I)
