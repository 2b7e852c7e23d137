"""Products of sparse matrices as scores, and such matrices as state: common to neighbourhood channels."""

import numpy as np
from numba import njit, prange
from scipy.sparse import csr_array

from models.dataset import Floats, Ints
from models.state import State


def score_by_product(left: csr_array, right: csr_array) -> Floats:
    """left (B, M) @ right (M, N) as dense float32 (B, N), -inf in the cells that no path reaches."""
    scores: Floats = _product(
        left.indptr,
        left.indices,
        left.data.astype(np.float32, copy=False),
        right.indptr,
        right.indices,
        right.data.astype(np.float32, copy=False),
        right.shape[1],
    )
    return scores


def sparse_state(name: str, matrix: csr_array) -> State:
    """A sparse matrix as the three arrays ``name_indptr``, ``name_indices`` and ``name_data`` (float32)."""
    return {
        f"{name}_indptr": matrix.indptr,
        f"{name}_indices": matrix.indices,
        f"{name}_data": matrix.data.astype(np.float32),
    }


def sparse_from_state(name: str, state: State, n_columns: int) -> csr_array:
    """The matrix that ``sparse_state`` wrote under this name."""
    indptr = state[f"{name}_indptr"]
    data, indices = state[f"{name}_data"], state[f"{name}_indices"]
    return csr_array((data, indices, indptr), shape=(len(indptr) - 1, n_columns))


@njit(parallel=True, cache=True)
def _product(
    left_ptr: Ints, middle: Ints, left: Floats, right_ptr: Ints, column: Ints, right: Floats, n_columns: int
) -> Floats:
    scores = np.full((len(left_ptr) - 1, n_columns), -np.inf, dtype=np.float32)
    for row in prange(len(scores)):
        for a in range(left_ptr[row], left_ptr[row + 1]):
            for b in range(right_ptr[middle[a]], right_ptr[middle[a] + 1]):
                before = scores[row, column[b]]
                scores[row, column[b]] = left[a] * right[b] + (0 if before == -np.inf else before)
    return scores
