"""Retrieval by embedded items: the vector of a history, and lists of neighbours summed over a history."""

import numpy as np
from pydantic import PositiveFloat, PositiveInt
from scipy.sparse import csr_array
from scipy.special import expit

from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Floats, Queries
from models.embeddings.ann import Index, nearest_neighbours
from models.history import decayed_history
from models.neighbours import to_sparse
from models.sparse_product import recommend_by_product


class HistoryConfig(Config):
    """The part of a history that stands for its user."""

    newest: PositiveInt = 15
    """Newest distinct items of a history that are used."""
    decay: PositiveFloat = 3.0
    """Decay of a history, in items: the k-th newest weighs exp(-k / decay)."""


def history_vectors(queries: Queries, vectors: Floats, config: HistoryConfig) -> Floats:
    """(B, D) weighted means of the vectors (I, D) of each history's newest items; zero for no history."""
    history = decayed_history(queries, config.decay, config.newest)
    total = history.sum(axis=1)
    means: Floats = (history @ vectors) / np.maximum(total, np.finfo(np.float32).tiny)[:, None]
    return means


def likely_next(index: Index, vectors: Floats, n: int) -> Neighbours:
    """The n items likeliest beside each item: sigmoid of the input vectors (I, D) times the indexed outputs.

    The score is the chance that a pair of the two is of the log and not noise.
    """
    neighbours = nearest_neighbours(index, vectors, n)
    score = np.where(neighbours.item >= 0, expit(neighbours.score), -np.inf)
    return Neighbours(neighbours.item, score.astype(np.float32))


def recommend_by_neighbours(
    neighbours: Neighbours, queries: Queries, n: int, config: HistoryConfig, filter_seen: bool = True
) -> Candidates:
    """Items by the sum of their scores in the lists of a history's newest items, newer lists heavier."""
    similarity = to_sparse(neighbours, len(neighbours.item))
    similarity.eliminate_zeros()

    def history(block: Queries) -> csr_array:
        return decayed_history(block, config.decay, config.newest)

    return recommend_by_product(history, similarity, queries, n, filter_seen)
