"""Popularity among groups of users, by a code of users, smoothed towards a wider group."""

import math

import numpy as np
from numba import njit

from models.dataset import DAY, Dataset, Doubles, Ints

EVENTS = 1 << 20
"""Events whose weights are computed at once."""


def user_codes(dataset: Dataset, name: str, user_idx: Ints | None = None) -> Ints:
    """The attribute ``name`` of the users (all by default): codes, -1 where unknown.

    A user_idx of -1 and an attribute that the data set lacks are unknown too.
    """
    users = np.arange(dataset.n_users, dtype=np.int32) if user_idx is None else user_idx
    if name not in dataset.users:
        return np.full(len(users), -1, dtype=np.int32)
    codes = np.append(dataset.users[name], -1).astype(np.int32)  # user -1 reads the last code
    return codes[users]


def of_first_days(dataset: Dataset, days: float) -> Dataset:
    """The log with the ratings of so many days from each user's first one on."""
    if math.isinf(days):
        return dataset
    first = dataset.at[dataset.indptr[dataset.user_idx]]
    return dataset.where(dataset.at < first + days * DAY)


def counts_by_group(dataset: Dataset, group_of_user: Ints, n_groups: int, half_life: float) -> Doubles:
    """Ratings of each item in each group (n_groups, I); a user in group -1 is in none.

    Each rating is halved every ``half_life`` days before as_of.
    """
    counts = np.zeros((n_groups, dataset.n_items))
    for begin in range(0, dataset.n_events, EVENTS):
        part = slice(begin, begin + EVENTS)
        weight = np.exp2((dataset.at[part] - dataset.as_of) / (half_life * DAY))
        _add(counts, group_of_user, dataset.user_idx[part], dataset.item_idx[part], weight)
    return counts


@njit(cache=True)
def _add(counts: Doubles, group_of_user: Ints, user: Ints, item: Ints, weight: Doubles) -> None:
    for event in range(len(user)):
        group = group_of_user[user[event]]
        if group >= 0:
            counts[group, item[event]] += weight[event]


def back_off(counts: Doubles, wider: Doubles, smoothing: float) -> Doubles:
    """(G, I) chances p(i | g) of items in each group, mixed with those of a wider group, (I,) or (G, I).

    ``smoothing`` ratings (mu) are spread as in the wider group: the Dirichlet smoothing of Zhai and Lafferty,
    "A Study of Smoothing Methods for Language Models" (2004), https://doi.org/10.1145/984321.984322,
    p(i | g) = (n(i, g) + mu p(i | wider)) / (n(g) + mu).
    """
    chances: Doubles = (counts + smoothing * wider) / (counts.sum(1, keepdims=True) + smoothing)
    return chances
