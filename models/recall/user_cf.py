"""User-based collaborative filtering: the newest films of the users most like the one who asks.

Resnick, Iacovou, Suchak, Bergstrom and Riedl, "GroupLens: An Open Architecture for Collaborative Filtering
of Netnews" (1994), https://doi.org/10.1145/192844.192905, with the inverse user frequency of Breese,
Heckerman and Kadie, "Empirical Analysis of Predictive Algorithms for Collaborative Filtering" (1998),
https://arxiv.org/abs/1301.7363, by which sharing a rare film says more than sharing a common one:

    f_i = log(U / |U_i|)
    s(q, v) = sum over i in both of h_qi f_i^2 / (|q| |v|),  |v|^2 = sum over i of v of f_i^2

h_qi being the recency weight of the query's history, of its newest items alone. An item scores the sum of
s(q, v) over the nearest users v among whose newest items it is, newer ones heavier.

The raters of a popular item are sampled, so a query costs its newest items times ``max_raters``, whatever
the number of users.
"""

from typing import Self

import numpy as np
from pydantic import PositiveFloat, PositiveInt
from scipy.sparse import csr_array, diags_array

from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Dataset, Queries, queries_at
from models.history import decayed_history, interactions
from models.neighbours import to_sparse
from models.recall.contract import Tables
from models.sampling import sample_of_rows
from models.sparse_product import best_of_product, recommend_by_product, sparse_from_state, sparse_state
from models.state import State


class UserCFConfig(Config):
    """The nearest users, and how their items count."""

    n_neighbours: PositiveInt = 200
    """Nearest users of each query."""
    max_raters: PositiveInt = 2_000
    """Users of an item among whom neighbours are searched; a seeded sample of those of a more popular one."""
    newest: PositiveInt = 30
    """Newest items of a history by which neighbours are found."""
    decay: PositiveFloat = 7.0
    """Decay of a history, in items: the k-th newest weighs exp(-k / decay)."""
    neighbour_newest: PositiveInt = 100
    """Newest items of each neighbour that count."""
    neighbour_decay: PositiveFloat = 30.0
    """Decay of a neighbour's items, in items: the k-th newest weighs exp(-k / neighbour_decay)."""
    seed: int = 0
    """Seed of the sample of the users of popular items."""


class UserCF:
    """The newest items of the nearest users.

    State: sparse rows ``taste_*`` (I, U), f_i^2 / |v| of each rater v of an item i, of a popular one of a
    sample of them, and ``recent_*`` (U, I), the newest items of each user with their weights.
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
        recent = decayed_history(
            queries_at(dataset), self.config.neighbour_decay, self.config.neighbour_newest
        )
        self.state = sparse_state("taste", self._sample(taste)) | sparse_state("recent", recent)
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        n_users, n_items = len(self.state["recent_indptr"]) - 1, len(self.state["taste_indptr"]) - 1
        taste = sparse_from_state("taste", self.state, n_users)
        recent = sparse_from_state("recent", self.state, n_items)
        return recommend_by_product(lambda block: self._near(block, taste), recent, queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables()

    def _sample(self, taste: csr_array) -> csr_array:
        """The rows of taste with at most ``max_raters`` users each."""
        keep = sample_of_rows(taste.indptr, self.config.max_raters, self.config.seed)
        indptr = np.concatenate([[0], np.cumsum(keep)])[taste.indptr]
        return csr_array((taste.data[keep], taste.indices[keep], indptr), shape=taste.shape)

    def _near(self, queries: Queries, taste: csr_array) -> csr_array:
        """The nearest users of each query with their similarities, (b, U)."""
        # Dividing by |q| would change no order among the users near q.
        history = decayed_history(queries, self.config.decay, self.config.newest)
        # Nobody is their own neighbour: the users 0 to U - 1 are "seen" by themselves.
        n_users = taste.shape[1]
        start = np.where((queries.user_idx >= 0) & (queries.user_idx < n_users), queries.user_idx, n_users)
        end = np.minimum(start + 1, n_users)
        oneself = np.arange(n_users, dtype=np.int32)
        near = best_of_product(history, taste, self.config.n_neighbours, start, end, oneself)
        return to_sparse(Neighbours(*near), n_users)
