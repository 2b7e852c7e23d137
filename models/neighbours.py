"""Item-to-item recall: the nearest items of each item, and scores of a history by them."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.candidates import Neighbours
from models.sparse_product import best_of_product
from models.top_n import best_of_rows


def nearest(similarity: NDArray[np.floating], n: int) -> Neighbours:
    """The n most similar columns of each row of similarities (R, I); zero and below is no similarity."""
    return Neighbours(*best_of_rows(np.where(similarity > 0, similarity, -np.inf).astype(np.float32), n))


def nearest_by_product(left: csr_array, right: csr_array, n: int) -> Neighbours:
    """The n largest cells of each row of left (I, M) @ right (M, I) off the diagonal, of those above zero."""
    own = np.arange(left.shape[0], dtype=np.int32)
    start = own.astype(np.int64)
    item, score = best_of_product(left, right, n, start, start + 1, own)
    similar = score > 0
    return Neighbours(np.where(similar, item, np.int32(-1)), np.where(similar, score, np.float32(-np.inf)))


def to_sparse(neighbours: Neighbours, n_columns: int) -> csr_array:
    """The lists as a sparse matrix (R, n_columns), padding left out, columns best first."""
    named = neighbours.item >= 0
    indptr = np.concatenate([[0], np.cumsum(named.sum(1))])
    return csr_array(
        (neighbours.score[named], neighbours.item[named], indptr), shape=(len(neighbours.item), n_columns)
    )
