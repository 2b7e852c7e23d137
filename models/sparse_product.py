"""Products of sparse matrices as scores, and such matrices as state: common to neighbourhood channels.

The best cells of a product are found without the product: its rows are added up one at a time in a scratch
row, of which only the cells that were reached are looked at and cleared. A query costs its paths, whatever
the number of items.
"""

from collections.abc import Callable

import numpy as np
from numba import njit, prange
from scipy.sparse import csr_array

from models.candidates import Candidates
from models.dataset import Floats, Ints, Longs, Queries
from models.state import State
from models.top_n import best_first, offer

BLOCK = 4096
"""Queries whose histories are made at once."""

ROWS = 64
"""Rows that share a scratch row."""


def recommend_by_product(
    history: Callable[[Queries], csr_array],
    weights: csr_array,
    queries: Queries,
    n: int,
    filter_seen: bool = True,
) -> Candidates:
    """Candidates of a channel whose scores are ``history(queries) @ weights``, (b, M) @ (M, I), both sparse.

    An item that no path reaches is no candidate, so a query without a history gets only padding.
    """
    items = np.empty((len(queries), n), dtype=np.int32)
    scores = np.empty((len(queries), n), dtype=np.float32)
    for begin in range(0, len(queries), BLOCK):
        block = queries.rows(begin, begin + BLOCK)
        end = block.end if filter_seen else block.start
        rows = slice(begin, begin + BLOCK)
        items[rows], scores[rows] = best_of_product(
            history(block), weights, n, block.start, end, block.log.item_idx
        )
    return Candidates(items, scores)


def best_of_product(
    left: csr_array, right: csr_array, n: int, start: Longs, end: Longs, seen: Ints
) -> tuple[Ints, Floats]:
    """The best n cells of each row of left (B, M) @ right (M, N): columns and float32 scores, (B, n).

    Only cells that a path reaches, and none of the columns ``seen[start[b]:end[b]]``; ties by ascending
    column, padded with -1 and -inf.
    """
    found: tuple[Ints, Floats] = _best_of_product(
        (left.indptr, left.indices, left.data.astype(np.float32, copy=False)),
        (right.indptr, right.indices, right.data.astype(np.float32, copy=False)),
        right.shape[1],
        start,
        end,
        seen,
        n,
    )
    return found


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


@njit(parallel=True, cache=True)
def _best_of_product(
    left: tuple[Ints, Ints, Floats],
    right: tuple[Ints, Ints, Floats],
    n_columns: int,
    start: Longs,
    end: Longs,
    seen: Ints,
    n: int,
) -> tuple[Ints, Floats]:
    left_ptr, middle, left_value = left
    right_ptr, column, right_value = right
    rows = len(left_ptr) - 1
    items = np.full((rows, n), -1, dtype=np.int32)
    scores = np.full((rows, n), -np.inf, dtype=np.float32)
    for chunk in prange((rows + ROWS - 1) // ROWS):
        scratch = np.full(n_columns, -np.inf, dtype=np.float32)
        reached = np.empty(n_columns, dtype=np.int32)
        for row in range(chunk * ROWS, min((chunk + 1) * ROWS, rows)):
            n_reached = 0
            for a in range(left_ptr[row], left_ptr[row + 1]):
                for b in range(right_ptr[middle[a]], right_ptr[middle[a] + 1]):
                    cell = column[b]
                    if scratch[cell] == -np.inf:
                        reached[n_reached], scratch[cell] = cell, 0
                        n_reached += 1
                    scratch[cell] += left_value[a] * right_value[b]
            for event in range(start[row], end[row]):
                scratch[seen[event]] = -np.inf
            size = 0
            for cell in reached[:n_reached]:
                if scratch[cell] > -np.inf and n > 0:
                    size = offer(scratch[cell], cell, items[row], scores[row], size)
                scratch[cell] = -np.inf
            best_first(items[row], scores[row], size)
    return items, scores
