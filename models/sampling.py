"""Samples: of the ratings of users too active to learn from in full, of long rows, and of numbers.

Pairs of ratings grow with the square of a user's activity, and those of one who rates everything carry no
information about similarity. Only fitting sees the sample: queries of such users, and the filter of seen
items, have their whole history.
"""

import numpy as np
from numba import njit

from models.dataset import Dataset, Ints, Longs, Mask


def cap_active_users(dataset: Dataset, max_events: int, seed: int = 0) -> Dataset:
    """The log with at most ``max_events`` ratings a user, drawn without replacement, in their order of time.

    Users with no more than that keep all of theirs.
    """
    if np.diff(dataset.indptr).max(initial=0) <= max_events:
        return dataset
    return dataset.where(sample_of_rows(dataset.indptr, max_events, seed))


def sample_of_rows(indptr: Ints | Longs, n: int, seed: int = 0) -> Mask:
    """(E,) the entries of sparse rows to keep: all of rows of up to n, of longer ones n drawn at random."""
    keep: Mask = _sample_of_rows(indptr, n, np.random.default_rng(seed))
    return keep


def spread(total: int, n: int) -> Longs:
    """At most n of the numbers 0 to total - 1, ascending, evenly spread."""
    return np.unique(np.linspace(0, total - 1, min(total, n)).astype(np.int64))


@njit(cache=True)
def _sample_of_rows(indptr: Ints | Longs, n: int, rng: np.random.Generator) -> Mask:
    """Selection sampling: an entry is taken with the chance of those still wanted among those still to come.

    Knuth, "The Art of Computer Programming", volume 2 (1997), algorithm 3.4.2 S.
    """
    keep = np.ones(indptr[-1], dtype=np.bool_)
    for row in range(len(indptr) - 1):
        if indptr[row + 1] - indptr[row] > n:
            wanted = n
            for entry in range(indptr[row], indptr[row + 1]):
                keep[entry] = rng.random() * (indptr[row + 1] - entry) < wanted
                wanted -= keep[entry]
    return keep
