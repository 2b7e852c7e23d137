"""Small random rows with every kind of feature, for the tests of rankers."""

import numpy as np

from models.features.schema import Feature, FeatureSchema
from models.rank.rows import Rows

LENGTH = 6
"""Length of the sequence."""

SCHEMA = FeatureSchema(
    (
        Feature("user_id", "user", "categorical", 21),
        Feature("history", "user", "sequence", 31, "item_id"),
        Feature("searches", "user", "sequence", 5),
        Feature("age", "user", "numeric"),
        Feature("hour", "context", "categorical", 4),
        Feature("item_id", "item", "categorical", 31),
        Feature("genres", "item", "multi_hot", 3),
        Feature("price", "cross", "numeric"),
    )
)


def small_rows(n: int = 200, seed: int = 0, tasks: tuple[str, ...] = ("watched", "liked")) -> Rows:
    """n rows of n / 10 queries whose labels depend on the item, on the user and on both."""
    rng = np.random.default_rng(seed)
    n_queries = n // 10
    items = {
        "item_id": np.arange(1, 31, dtype=np.int32),
        "genres": (rng.random((30, 3)) < 0.5).astype(np.float32),
    }
    padding = np.arange(LENGTH) < rng.integers(0, LENGTH + 1, n_queries)[:, None]
    queries = {
        "user_id": rng.integers(1, 21, n_queries, dtype=np.int32),
        "history": np.where(padding, 0, rng.integers(1, 31, (n_queries, LENGTH))).astype(np.int32),
        "searches": np.where(padding, 0, rng.integers(1, 5, (n_queries, LENGTH))).astype(np.int32),
        "age": rng.normal(size=n_queries).astype(np.float32),
        "hour": rng.integers(1, 4, n_queries, dtype=np.int32),
    }
    query, item = np.sort(rng.integers(0, n_queries, n)), rng.integers(0, 30, n)
    pairs = {"price": rng.normal(size=n).astype(np.float32)}
    taste = 2 * np.sin(1.0 * item) + np.cos(queries["user_id"][query] * 1.7) + pairs["price"]
    chance = 1 / (1 + np.exp(-np.stack([taste, taste - 1], axis=1)))
    label = (rng.random((n, 2)) < chance).astype(np.float32)
    return Rows(SCHEMA, query, item, queries, items, pairs, label[:, : len(tasks)], tasks)
