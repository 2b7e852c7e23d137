"""EASE: an item-item linear autoencoder with a zero diagonal, in closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019, https://arxiv.org/abs/1905.03375).
With X the binary user-item matrix, P = (X'X + l2 I)^-1 and

    B_ij = -P_ij / P_jj,  B_jj = 0        and the score of a history is x B.

The paper scores with the plain history; here newer items may weigh more: they say more of what a user wants
now.
"""

from typing import Self

import numpy as np
from pydantic import PositiveFloat, PositiveInt
from scipy.linalg import lapack

from models.bounds import Positive
from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Floats, Queries
from models.history import decayed_history, interactions, reach
from models.neighbours import nearest
from models.recall.contract import Tables
from models.state import State
from models.top_n import recommend_by_score


class EaseConfig(Config):
    """Regularisation, and how the history is read."""

    l2: Positive = 1000.0
    """Weight of the squared norm, in users: added to the diagonal of X'X."""
    decay: PositiveFloat = 5.0
    """Events after which an item of the history weighs 1/e; infinity for the plain history of the paper."""
    n_neighbours: PositiveInt = 200
    """Items published for each item, those that it speaks for most."""


class Ease:
    """EASE. State: ``weight`` (I, I) float32, from the item in the history to the item scored;
    ``has_events`` (I,) bool, the items of the log it was fitted on, the only ones it recommends.
    """

    def __init__(self, config: EaseConfig = EaseConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        rated = interactions(dataset)
        gram = (rated.T @ rated).toarray()  # (I, I)
        self.state = {
            "weight": zero_diagonal_regression(gram, self.config.l2),
            "has_events": gram.diagonal() > 0,
        }
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        among = self.state["has_events"]
        return recommend_by_score(self._score, queries, n, filter_seen, among=among, needs_history=True)

    def tables(self) -> Tables:
        return Tables(item_similarity=nearest(self.state["weight"], self.config.n_neighbours))

    def _score(self, queries: Queries) -> Floats:
        history = decayed_history(queries, self.config.decay, reach(self.config.decay))
        score: Floats = history @ self.state["weight"]  # (B, I)
        return score


def zero_diagonal_regression(gram: Floats, l2: float) -> Floats:
    """B (I, I) float32 that minimises |X - X B|^2 + l2 |B|^2 with a zero diagonal, from X'X (I, I).

    Raises:
        numpy.linalg.LinAlgError: the sum of X'X and l2 I is not positive definite.
    """
    gram = gram.astype(np.float32)
    gram[np.diag_indices_from(gram)] += l2
    factor, failed = lapack.spotrf(gram.T, lower=True, overwrite_a=True)
    if failed:
        raise np.linalg.LinAlgError("X'X + l2 I is not positive definite: l2 must be larger")
    half, _ = lapack.spotri(factor, lower=True, overwrite_c=True)
    inverse = np.tril(half) + np.tril(half, -1).T
    weight: Floats = np.ascontiguousarray(inverse / -inverse.diagonal())  # column j divided by -P_jj
    np.fill_diagonal(weight, 0)
    return weight
