"""EASE: an item-item linear autoencoder with a zero diagonal, in closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019, https://arxiv.org/abs/1905.03375).
With X the binary user-item matrix, P = (X'X + l2 I)^-1 and

    B_ij = -P_ij / P_jj,  B_jj = 0        and the score of a history is x B.

The paper scores with the plain history; here newer items may weigh more: they say more of what a user wants
now. X has the most rated items only, and of each row of B its largest weights are read
(:mod:`models.closed_form`).
"""

from collections.abc import Iterator
from typing import ClassVar, Self

import numpy as np
from numba import njit, prange
from pydantic import PositiveFloat, PositiveInt
from scipy.linalg import lapack
from scipy.sparse import csr_array, eye_array

from models.bounds import Positive
from models.candidates import Candidates
from models.closed_form import BLOCK, among_all, factorise, largest_weights, most_rated, renumbered
from models.config import Config
from models.dataset import Dataset, Floats, Ints, Queries
from models.history import decayed_history, reach
from models.neighbours import nearest_by_product
from models.recall.contract import Tables
from models.sparse_product import recommend_by_product, sparse_from_state, sparse_state
from models.state import State


class EaseConfig(Config):
    """Regularisation, and how the history is read."""

    l2: Positive = 1000.0
    """Weight of the squared norm, in users: added to the diagonal of X'X."""
    decay: PositiveFloat = 5.0
    """Events after which an item of the history weighs 1/e; infinity for the plain history of the paper."""
    n_neighbours: PositiveInt = 200
    """Items published for each item, those that it speaks for most."""
    n_weights: PositiveInt = 500
    """Weights of each item that stay, those of largest absolute value."""
    memory_gib: Positive = 1.5
    """GiB of X'X, then its inverse: 4 bytes by the squared number of items read, the most rated ones."""
    max_work: Positive = 1e5
    """Cube of the number of items read, for each rating, at most: the inverse costs as the ratings do."""

    only_answers: ClassVar[frozenset[str]] = frozenset({"decay", "n_neighbours"})


class Ease:
    """EASE. State: ``weight_*``, sparse (I, I), from the item in the history to the item scored; ``covered``,
    the fraction of the log's events whose items are read and recommended.
    """

    def __init__(self, config: EaseConfig = EaseConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        config = self.config
        items, covered = most_rated(dataset, config.memory_gib, 4, config.max_work)
        half = _gram(_interactions(dataset, items))
        _invert(half, config.l2)
        column, weight = largest_weights(_targets(half), len(items), len(items), config.n_weights)
        self.state = sparse_state("weight", among_all(column, weight, items, dataset.n_items))
        self.state["covered"] = np.array(covered)
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        return recommend_by_product(self._history, self._weight(), queries, n, filter_seen)

    def tables(self) -> Tables:
        weight = self._weight()
        each = eye_array(weight.shape[0], dtype=np.float32, format="csr")
        return Tables(item_similarity=nearest_by_product(each, weight, self.config.n_neighbours))

    def _history(self, queries: Queries) -> csr_array:
        return decayed_history(queries, self.config.decay, reach(self.config.decay))

    def _weight(self) -> csr_array:
        return sparse_from_state("weight", self.state, len(self.state["weight_indptr"]) - 1)


def _interactions(log: Dataset, items: Ints) -> csr_array:
    """Who rated which of some items, (U, n) bool, indices sorted."""
    item = renumbered(log, items)
    named = item >= 0
    indptr = np.concatenate([[0], np.cumsum(named)])[log.indptr]
    ones = np.ones(indptr[-1], dtype=np.bool_)
    rated = csr_array((ones, item[named], indptr), shape=(log.n_users, len(items)))
    rated.sum_duplicates()
    return rated


def _gram(rated: csr_array) -> Floats:
    """The lower triangle of X'X (n, n); what is above it is undefined."""
    raters = rated.T.tocsr()
    half: Floats = _common_raters(raters.indptr, raters.indices, rated.indptr, rated.indices)
    return half


def _invert(half: Floats, l2: float) -> None:
    """Put (A + l2 I)^-1 in the place of A (n, n), of which only the lower triangle is used.

    Raises:
        numpy.linalg.LinAlgError: A + l2 I is not positive definite.
    """
    if len(half):
        factorise(half, l2)
        lapack.spotri(half.T, lower=False, overwrite_c=True)


def _targets(half: Floats) -> Iterator[Floats]:
    """The columns of B by blocks, (b, n), from the lower triangle of P (n, n)."""
    for begin in range(0, len(half), BLOCK):
        end = min(begin + BLOCK, len(half))
        weight = np.empty((end - begin, len(half)), dtype=np.float32)
        weight[:, :end] = half[begin:end, :end]
        weight[:, end:] = half[end:, begin:end].T
        square = np.tril(weight[:, begin:end])
        weight[:, begin:end] = square + np.tril(square, -1).T
        weight /= -square.diagonal()[:, None]
        weight[np.arange(end - begin), np.arange(begin, end)] = 0
        yield weight


@njit(parallel=True, cache=True)
def _common_raters(user_ptr: Ints, user: Ints, item_ptr: Ints, item: Ints) -> Floats:
    """Users of both items, in the lower triangle: whole numbers, so that the order of the sum is all one."""
    n_items = len(user_ptr) - 1
    half = np.empty((n_items, n_items), dtype=np.float32)
    for k in prange(n_items):
        i = k // 2 if k % 2 else n_items - 1 - k // 2  # long rows and short ones for every thread
        half[i, : i + 1] = 0
        for u in user[user_ptr[i] : user_ptr[i + 1]]:
            for j in item[item_ptr[u] : item_ptr[u + 1]]:
                if j > i:
                    break
                half[i, j] += 1
    return half
