"""Closed-form item models with a bounded catalogue: the items that are read, and the weights that stay.

A regression over n items costs a matrix of n^2 cells and a solution of n^3 steps, whatever the ratings. So it
is made over the most rated items only, as many as a memory budget holds and as keep the steps proportional to
the ratings; and of each item's n weights only the largest stay, so that state and answers grow with n alone.
"""

import math
from collections.abc import Iterable

import numpy as np
from numba import njit, prange
from scipy.linalg import lapack
from scipy.sparse import csr_array

from models.dataset import Dataset, Floats, Ints
from models.top_n import offer

BLOCK = 256
"""Items scored at once: 20 MB over 20,000 items."""

ROWS = 32
"""Rows whose largest weights are looked for together: they stay in the cache."""


def most_rated(log: Dataset, memory_gib: float, square_bytes: float, max_work: float) -> tuple[Ints, float]:
    """The most rated items, (n,) ascending, and the fraction of the log's events that they have.

    Only items with an event, ties by item; one at least, and at most so many that n^2 * ``square_bytes`` is
    within ``memory_gib``, and n^3 within ``max_work`` times the ratings.
    """
    count = np.bincount(log.item_idx, minlength=log.n_items)
    by_memory = max(math.isqrt(int(memory_gib * 2**30 / square_bytes)), 1)
    by_work = max(int(np.cbrt(max_work * log.n_events)), 1)
    n = min(by_memory, by_work, np.count_nonzero(count))
    items = np.sort(np.argsort(-count, kind="stable")[:n]).astype(np.int32)
    return items, float(count[items].sum() / max(log.n_events, 1))


def renumbered(log: Dataset, items: Ints) -> Ints:
    """(E,) the number of each event's item among some items, -1 for another item."""
    number = np.full(log.n_items, -1, dtype=np.int32)
    number[items] = np.arange(len(items), dtype=np.int32)
    renamed: Ints = number[log.item_idx]
    return renamed


def factorise(half: Floats, l2: float) -> None:
    """Put the Cholesky factor of A + l2 I in the place of A (N, N), of which only the lower triangle is used.

    Raises:
        numpy.linalg.LinAlgError: A + l2 I is not positive definite.
    """
    half[np.diag_indices_from(half)] += l2
    # The lower triangle in rows is the upper one in LAPACK's columns: no copy.
    _, failed = lapack.spotrf(half.T, lower=False, clean=False, overwrite_a=True)
    if failed:
        raise np.linalg.LinAlgError("X'X + l2 I is not positive definite: l2 must be larger")


def largest_weights(targets: Iterable[Floats], n_sources: int, n_targets: int, n: int) -> tuple[Ints, Floats]:
    """The n weights of largest absolute value of each source: columns, ascending, and weights.

    Both are (n_sources, min(n, n_targets)). ``targets`` are blocks (b, n_sources) of the weights from all
    sources to b targets, one block after the other. Zero is a weight as others are; ties by ascending column.
    """
    size = min(n, n_targets)
    code = np.empty((n_sources, size), dtype=np.int32)  # twice the column, and 1 for a negative weight
    magnitude = np.empty((n_sources, size), dtype=np.float32)
    first = 0
    for block in targets:
        _offer_block(block, first, code, magnitude)
        first += len(block)
    _decode(code, magnitude)
    return code, magnitude


def among_all(column: Ints, weight: Floats, items: Ints, n_items: int, n_blocks: int = 1) -> csr_array:
    """Weights between n items, blocks of rows (D * n, K), as sparse rows of all items, (D * I, I)."""
    counts = np.zeros((n_blocks, n_items), dtype=np.int32)
    counts[:, items] = column.shape[1]
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    shape = (counts.size, n_items)
    return csr_array((weight.ravel(), items[column].ravel(), indptr), shape=shape)


@njit(parallel=True, cache=True)
def _offer_block(block: Floats, first: int, code: Ints, magnitude: Floats) -> None:
    """Offer the weights to b more targets to the heap of each source, (b, R) to (R, K)."""
    n_rows, n = code.shape
    for chunk in prange((n_rows + ROWS - 1) // ROWS):
        for b in range(len(block)):
            target = first + b
            for row in range(chunk * ROWS, min((chunk + 1) * ROWS, n_rows)):
                weight = block[b, row]
                # Among equals the earlier target stays.
                if target < n or abs(weight) > magnitude[row, 0]:
                    negative = 1 if weight < 0 else 0
                    offer(abs(weight), 2 * target + negative, code[row], magnitude[row], min(target, n))


@njit(parallel=True, cache=True)
def _decode(code: Ints, magnitude: Floats) -> None:
    """Sort each row by column, and give the weights their signs."""
    for row in prange(len(code)):
        order = np.argsort(code[row])
        sorted_code, sorted_magnitude = code[row][order], magnitude[row][order]
        for k in range(len(order)):
            code[row, k] = sorted_code[k] // 2
            magnitude[row, k] = -sorted_magnitude[k] if sorted_code[k] % 2 else sorted_magnitude[k]
