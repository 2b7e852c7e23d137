"""EASE: an item-item linear autoencoder with a zero diagonal, in closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019, https://arxiv.org/abs/1905.03375).
With X the binary user-item matrix, P = (X'X + ridge I)^-1 and

    B_ij = -P_ij / P_jj,  B_jj = 0        and the score of a history is x B.

The paper scores with the plain history; here newer items may weigh more, which tells what a user wants now.
"""

from typing import Self

import numpy as np
from scipy.linalg import lapack

from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Floats, Queries
from models.history import decayed_history, interactions
from models.neighbours import nearest
from models.recall.contract import Tables
from models.state import State
from models.top_n import recommend_by_score

FADED = 10
"""Decays after which an event of the history is left out: it would weigh e^-10."""


class EaseConfig(Config):
    """Regularisation, and how the history is read."""

    ridge: float = 1000.0
    """Added to the diagonal of X'X, in users."""
    decay: float = 5.0
    """Events after which an item of the history weighs 1/e; infinity for the plain history of the paper."""
    neighbours: int = 200
    """Items published for each item, those that it speaks for most."""


class Ease:
    """EASE. State: ``weight`` (I, I) float32, from the item in the history to the item scored;
    ``known`` (I,) bool, the items of the log it was fitted on, the only ones it recommends.
    """

    def __init__(self, config: EaseConfig = EaseConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        rated = interactions(dataset)
        gram = (rated.T @ rated).toarray()  # (I, I)
        self.state = {
            "weight": zero_diagonal_regression(gram, self.config.ridge),
            "known": gram.diagonal() > 0,
        }
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        return recommend_by_score(self._score, queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables(item_similarity=nearest(self.state["weight"], self.config.neighbours))

    def _score(self, queries: Queries) -> Floats:
        decay = self.config.decay
        newest = None if np.isinf(decay) else int(np.ceil(FADED * decay))
        score: Floats = decayed_history(queries, decay, newest) @ self.state["weight"]  # (B, I)
        score[:, ~self.state["known"]] = -np.inf
        score[queries.start == queries.end] = -np.inf  # nothing is known of who has no history
        return score


def zero_diagonal_regression(gram: Floats, ridge: float) -> Floats:
    """B (I, I) float32 that minimises |X - X B|^2 + ridge |B|^2 with a zero diagonal, from X'X (I, I)."""
    gram = gram.astype(np.float32)
    gram[np.diag_indices_from(gram)] += ridge
    factor, failed = lapack.spotrf(gram.T, lower=True, overwrite_a=True)
    if failed:
        raise np.linalg.LinAlgError("X'X + ridge I is not positive definite: the ridge must be positive")
    half, _ = lapack.spotri(factor, lower=True, overwrite_c=True)
    inverse = np.tril(half) + np.tril(half, -1).T
    weight: Floats = np.ascontiguousarray(inverse / -inverse.diagonal())  # column j divided by -P_jj
    np.fill_diagonal(weight, 0)
    return weight
