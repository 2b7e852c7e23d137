"""Small random logs for the tests of recall channels."""

import numpy as np
from numpy.typing import NDArray

from models.dataset import DAY, Dataset

ZIPS = (10001, 10128, 11201, 60601, 94110, 94103, 2139, -1)
"""Zip codes of users in turn: three of one city, two of another."""

START = 1_000_000_000
"""Epoch seconds of the first possible event."""


def small_log(seed: int = 0, n_users: int = 40, n_items: int = 50, attributes: bool = True) -> Dataset:
    """A log over 100 days with popular and unpopular items; user 0 and item 0 have no event.

    No user rates an item twice. Two users may share a time, and one user's events may tie.
    """
    rng = np.random.default_rng(seed)
    appeal = 1 / np.arange(2.0, n_items + 1)
    rows = [
        (user, item + 1)
        for user in range(1, n_users)
        for item in rng.choice(n_items - 1, rng.integers(1, n_items // 2), False, appeal / appeal.sum())
    ]
    user, item = np.array(rows, dtype=np.int32).T
    at = START + rng.integers(0, 100 * 24, len(rows)) * 3600
    order = np.lexsort((np.arange(len(rows)), at, user))
    users = {
        "gender": rng.integers(-1, 2, n_users).astype(np.int32),
        "age": rng.integers(-1, 4, n_users).astype(np.int32),
        "occupation": rng.integers(-1, 5, n_users).astype(np.int32),
        "region": rng.integers(-1, 3, n_users).astype(np.int32),
        "zip": np.array(ZIPS, dtype=np.int32)[np.arange(n_users) % len(ZIPS)],
    }
    items = {
        "year": np.where(rng.random(n_items) < 0.1, -1, rng.integers(1930, 2001, n_items)).astype(np.int32),
        "genres": rng.random((n_items, 6)) < 0.3,
    }
    return Dataset(
        user[order],
        item[order],
        rng.integers(1, 6, len(rows)).astype(np.float32),
        at[order],
        n_users,
        n_items,
        START + 100 * DAY,
        users if attributes else {},
        items if attributes else {},
    )


def log_in_order(
    user: NDArray[np.integer], item: NDArray[np.integer], rating: NDArray[np.floating]
) -> Dataset:
    """One event a second, already sorted by user."""
    return Dataset(
        user.astype(np.int32),
        item.astype(np.int32),
        rating.astype(np.float32),
        np.arange(len(user), dtype=np.int64),
        int(user.max()) + 1,
        int(item.max()) + 1,
        len(user),
    )


def two_tastes(seed: int = 0) -> Dataset:
    """Even users rate 12 of the items 0 to 19, odd users of 20 to 39; the last user changes."""
    rng = np.random.default_rng(seed)
    item = np.array([20 * (user % 2) + rng.permutation(20)[:12] for user in range(60)])
    last = np.concatenate([rng.permutation(20)[:8], 20 + rng.permutation(20)[:8]])
    user = np.concatenate([np.repeat(np.arange(60), 12), np.full(16, 60)])
    return log_in_order(user, np.concatenate([item.ravel(), last]), np.full(len(user), 4.0))


def two_rated_tastes(seed: int = 0) -> Dataset:
    """Everybody rates 12 items of the own taste with 5 stars and 3 of the other one with 1, in any order."""
    rng = np.random.default_rng(seed)
    stars, item, rating = np.repeat([5.0, 1.0], [12, 3]), [], []
    for user in range(60):
        own, other = (20 * taste + rng.permutation(20) for taste in (user % 2, 1 - user % 2))
        order = rng.permutation(15)
        item.append(np.concatenate([own[:12], other[:3]])[order])
        rating.append(stars[order])
    return log_in_order(np.repeat(np.arange(60), 15), np.concatenate(item), np.concatenate(rating))
