"""What the towers read: the schema of a data set, and its users, items and histories encoded by it."""

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset, Floats, Ints, Longs
from models.features.schema import Feature, FeatureSchema
from models.two_tower.config import TowersConfig

Column = Longs | Floats
Columns = dict[str, Column]
"""Encoded features by name, one row a user or an item."""

DEMOGRAPHICS = ("gender", "age", "occupation", "region")
FIRST_YEAR, YEARS, BUCKETS = 1900, 5, 30
"""Years go into buckets of five from 1900 on, so that a new film never changes the schema."""


def schema_of(dataset: Dataset, config: TowersConfig) -> FeatureSchema:
    """The inputs of the towers over this data set: only attributes that it has."""
    users, items = dataset.users, dataset.items
    features = [
        Feature("item_id", "item", "categorical", dataset.n_items + 1),
        Feature("history", "user", "sequence", dataset.n_items + 1, "item_id" if config.tied else "history"),
    ]
    if config.user_id:
        features.append(Feature("user_id", "user", "categorical", dataset.n_users + 1))
    if config.demographics:
        features += [
            Feature(name, "user", "categorical", int(np.max(users[name], initial=-1)) + 2)
            for name in DEMOGRAPHICS
            if name in users
        ]
    if config.attributes and "genres" in items:
        features.append(Feature("genres", "item", "multi_hot", items["genres"].shape[1]))
    if config.attributes and "year" in items:
        features.append(Feature("year", "item", "categorical", BUCKETS + 1))
    if config.statistics:
        features += [
            Feature("history_events", "user", "numeric"),
            Feature("history_rating", "user", "numeric"),
            Feature("item_events", "item", "numeric"),
            Feature("item_rating", "item", "numeric"),
        ]
    return FeatureSchema(tuple(features))


def user_columns(dataset: Dataset, schema: FeatureSchema) -> Columns:
    """Codes (U + 1,) of the categorical features of users; the last row is the user nobody knows.

    So the user_idx -1 of an unknown user finds its row.
    """
    columns: Columns = {}
    for feature in schema.of("user"):
        if feature.kind == "categorical":
            known = np.arange(dataset.n_users) if feature.name == "user_id" else dataset.users[feature.name]
            code = known.astype(np.int64) + 1
            # A label that came after the schema is one that nobody knows.
            columns[feature.name] = np.append(np.where(code < feature.size, code, 0), 0)
    return columns


def item_columns(dataset: Dataset, schema: FeatureSchema) -> Columns:
    """All features of the items: codes (I,), numbers (I,), or (I, G) of 0 and 1."""
    events = np.bincount(dataset.item_idx, minlength=dataset.n_items)
    rated = np.bincount(dataset.item_idx, dataset.rating, dataset.n_items).astype(np.float64)
    # As many as the schema has: later ones are new to it.
    n_genres = sum(feature.size for feature in schema.of("item") if feature.name == "genres")
    makers: dict[str, Callable[[], Column]] = {
        "item_id": lambda: np.arange(1, dataset.n_items + 1),
        "genres": lambda: dataset.items["genres"][:, :n_genres].astype(np.float32),
        "year": lambda: _year_bucket(cast(Ints, dataset.items["year"])),
        "item_events": lambda: scaled_count(events),
        "item_rating": lambda: scaled_mean(rated, events),
    }
    return {feature.name: makers[feature.name]() for feature in schema.of("item")}


def scaled_count(count: Longs) -> Floats:
    """Counts on a scale that networks like: log(1 + n) / 5."""
    scaled: Floats = (np.log1p(count) / 5).astype(np.float32)
    return scaled


def scaled_mean(total: NDArray[np.float64], count: Longs) -> Floats:
    """Mean ratings around 0, shrunk to 3.5 stars by five pseudo-ratings."""
    scaled: Floats = ((total - 3.5 * count) / (count + 5)).astype(np.float32)
    return scaled


def _year_bucket(year: Ints) -> Longs:
    bucket = np.clip((year.astype(np.int64) - FIRST_YEAR) // YEARS, 0, BUCKETS - 1)
    return np.where(year < 0, 0, bucket + 1)
