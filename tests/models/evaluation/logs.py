"""Small logs and lists for the tests of evaluation."""

import numpy as np

from models.candidates import Candidates
from models.dataset import DAY, Dataset
from models.evaluation.split import epoch
from models.targets import Targets, offsets

EVENTS = tuple[str, int, int]
"""Day, user, item."""


def log_of(*events: EVENTS, n_users: int | None = None, n_items: int | None = None) -> Dataset:
    """A log of events given in the order of the file, at noon of their days."""
    at = np.array([epoch(day) + DAY // 2 for day, _, _ in events], dtype=np.int64)
    user = np.array([u for _, u, _ in events], dtype=np.int32)
    item = np.array([i for _, _, i in events], dtype=np.int32)
    rating = np.full(len(events), 4, dtype=np.float32)
    return _dataset(user, item, rating, at, n_users or int(user.max()) + 1, n_items or int(item.max()) + 1)


def random_log(
    seed: int, first: str, last: str, n_users: int = 12, n_items: int = 30, n_events: int = 400
) -> Dataset:
    """Users rate films at random times, films a second time and several at once as well."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, n_users, n_events).astype(np.int32)
    item = (n_items * rng.random(n_events) ** 2).astype(np.int32)  # low numbers are popular
    # Quarters of days, so that times tie often.
    at = rng.integers(epoch(first) // DAY * 4, epoch(last) // DAY * 4, n_events) * (DAY // 4)
    return _dataset(user, item, rng.integers(1, 6, n_events).astype(np.float32), at, n_users, n_items)


def _dataset(
    user: np.ndarray, item: np.ndarray, rating: np.ndarray, at: np.ndarray, n_users: int, n_items: int
) -> Dataset:
    order = np.lexsort((np.arange(len(user)), at, user))
    users = {"gender": np.arange(n_users, dtype=np.int32) % 3 - 1}
    items = {
        "year": 1950 + np.arange(n_items, dtype=np.int32),
        "genres": np.arange(n_items)[:, None] % np.array([2, 3, 5]) == 0,
    }
    as_of = int(at.max()) + 1
    return Dataset(user[order], item[order], rating[order], at[order], n_users, n_items, as_of, users, items)


def lists(rows: list[list[int]]) -> Candidates:
    """Candidates with falling scores; -1 is padding."""
    item = np.array(rows, dtype=np.int32)
    score = np.where(item >= 0, -np.arange(item.shape[1], dtype=np.float32), -np.inf)
    return Candidates(item, score.astype(np.float32))


def answers(rows: list[list[int]]) -> Targets:
    """One row of targets a query."""
    return Targets(offsets(np.array([len(row) for row in rows])), np.concatenate(rows).astype(np.int32))


def random_lists(seed: int, n_queries: int, n: int, n_items: int) -> Candidates:
    """Lists without repetition, some of them shorter than n, some empty."""
    rng = np.random.default_rng(seed)
    item = np.argsort(rng.random((n_queries, n_items)), axis=1)[:, :n]
    item[np.arange(n) >= rng.integers(0, n + 1, n_queries)[:, None]] = -1
    return lists(item.tolist())
