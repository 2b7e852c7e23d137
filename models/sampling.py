"""Samples: of the ratings of users too active to learn from in full, and of numbers, evenly spread.

Pairs of ratings grow with the square of a user's activity, and those of one who rates everything carry no
information about similarity. Only fitting sees the sample: queries of such users, and the filter of seen
items, have their whole history.
"""

import numpy as np

from models.dataset import Dataset, Longs


def cap_active_users(dataset: Dataset, max_events: int, seed: int = 0) -> Dataset:
    """The log with at most ``max_events`` ratings a user, drawn without replacement, in their order of time.

    Users with no more than that keep all of theirs.
    """
    count = np.diff(dataset.indptr)
    if count.max(initial=0) <= max_events:
        return dataset
    # The `max_events` smallest of random keys, ranked within each user.
    key = np.random.default_rng(seed).random(dataset.n_events)
    order = np.lexsort((key, dataset.user_idx))
    rank0 = np.empty(dataset.n_events, dtype=np.int64)
    rank0[order] = np.arange(dataset.n_events) - np.repeat(dataset.indptr[:-1], count)
    return dataset.where(rank0 < max_events)


def spread(total: int, n: int) -> Longs:
    """At most n of the numbers 0 to total - 1, ascending, evenly spread."""
    return np.unique(np.linspace(0, total - 1, min(total, n)).astype(np.int64))
