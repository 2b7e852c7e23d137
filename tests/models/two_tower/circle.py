"""A log whose next item is certain, and settings by which small towers learn it in a moment."""

import numpy as np

from models.dataset import Dataset, queries_before
from models.recall.contract import Recaller
from models.two_tower.config import NegativesConfig, TowersConfig, TrainingConfig, TwoTowerConfig
from tests.models.recall.small_logs import START

N_ITEMS, STEP = 30, 7


def circle(n_users: int = 60, length: int = 15, seed: int = 0) -> Dataset:
    """Users who walk through the items in a circle: after item i comes i + 7."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, N_ITEMS, n_users)
    items = (first[:, None] + STEP * np.arange(length)) % N_ITEMS
    user = np.repeat(np.arange(n_users, dtype=np.int32), length)
    at = START + np.tile(np.arange(length), n_users)
    rating = rng.integers(1, 6, len(user)).astype(np.float32)
    return Dataset(user, items.ravel().astype(np.int32), rating, at, n_users, N_ITEMS, START + length)


def small(**changes: object) -> TwoTowerConfig:
    """Small towers that learn fast, with some parts changed."""
    base = TwoTowerConfig(
        towers=TowersConfig(embedding_dim=16, mean_hidden=0, tied=False, dropout=0.0),
        negatives=NegativesConfig(uniform=40),
        training=TrainingConfig(
            epochs=15, learning_rate=0.05, batch_tokens=200, validation_users=4, patience=15
        ),
    )
    return base.but(**changes)


def accuracy(fitted: Recaller, log: Dataset) -> float:
    """The fraction of lists whose first item is the next one of the circle."""
    last = log.indptr[1:] - 1
    found = fitted.recommend(queries_before(log, last), 1, filter_seen=False)
    return float((found.item[:, 0] == log.item_idx[last]).mean())
