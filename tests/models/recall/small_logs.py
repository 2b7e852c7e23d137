"""Small random logs for the tests of recall channels."""

import numpy as np

from models.dataset import DAY, Dataset

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
