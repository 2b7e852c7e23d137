"""Users too active to learn from in full: a sample of their ratings stands for them.

Pairs of ratings grow with the square of a user's activity, and those of one who rates everything say
nothing about what belongs together. Only fitting sees the sample: what such users are asked about, and what
is filtered from their lists, is their whole history.
"""

import numpy as np

from models.dataset import Dataset, Longs


def cap_active_users(dataset: Dataset, most: int, seed: int = 0) -> Dataset:
    """The log with at most ``most`` ratings a user, drawn without replacement, in their order of time.

    Users with no more than that keep all of theirs.
    """
    count = np.diff(dataset.indptr)
    if count.max(initial=0) <= most:
        return dataset
    # The `most` smallest of random keys, ranked within each user.
    key = np.random.default_rng(seed).random(dataset.n_events)
    order = np.lexsort((key, dataset.user_idx))
    place = np.empty(dataset.n_events, dtype=np.int64)
    place[order] = np.arange(dataset.n_events) - np.repeat(dataset.indptr[:-1], count)
    return dataset.where(place < most)


def spread(total: int, n: int) -> Longs:
    """At most n of the numbers 0 to total - 1, evenly spread: which queries the weights are fitted on."""
    return np.unique(np.linspace(0, total - 1, min(total, n)).astype(np.int64))
