"""Item-to-item recall: the nearest items of each item, and what a history makes of them."""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.dataset import Floats, Ints
from models.recall.contract import Neighbours, State
from models.recall.top_n import best_of_rows


def nearest(similarity: NDArray[np.floating], n: int) -> Neighbours:
    """The n most similar columns of each row of similarities (R, I); zero and below is no similarity."""
    return Neighbours(*best_of_rows(np.where(similarity > 0, similarity, -np.inf).astype(np.float32), n))


def to_state(neighbours: Neighbours) -> State:
    """``neighbour`` and ``similarity``, both (I, K)."""
    return {"neighbour": neighbours.item, "similarity": neighbours.score}


def from_state(state: State) -> Neighbours:
    """The neighbours that ``to_state`` wrote."""
    return Neighbours(state["neighbour"], state["similarity"])


def score_by_neighbours(history: csr_array, neighbours: Neighbours) -> Floats:
    """Sum over the history (B, I) of its weight times the similarity to each item: (B, I).

    An item that is no neighbour of any item of the history is no candidate: -inf.
    """
    scores: Floats = _score(history.indptr, history.indices, history.data, neighbours.item, neighbours.score)
    return scores


@njit(parallel=True, cache=True)
def _score(indptr: Ints, item: Ints, weight: Floats, neighbour: Ints, similarity: Floats) -> Floats:
    scores = np.full((len(indptr) - 1, len(neighbour)), -np.inf, dtype=np.float32)
    for row in prange(len(scores)):
        for event in range(indptr[row], indptr[row + 1]):
            near, alike = neighbour[item[event]], similarity[item[event]]
            for place in range(len(near)):
                if near[place] < 0:
                    break
                gain = weight[event] * alike[place]
                if np.isneginf(scores[row, near[place]]):
                    scores[row, near[place]] = gain
                else:
                    scores[row, near[place]] += gain
    return scores
