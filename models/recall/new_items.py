"""New items: first rated lately, and rated often since.

The score of an item is its decayed popularity (``popular``), halved for every so many days since its first
rating.
"""

from typing import Self

import numpy as np
from pydantic import PositiveFloat

from models.candidates import Candidates
from models.config import Config
from models.dataset import DAY, Dataset, Queries
from models.recall.contract import Tables
from models.recall.in_order import recommend_in_order
from models.recall.popular import decayed_popularity
from models.state import State


class NewItemsConfig(Config):
    """How fast popularity and novelty fade."""

    half_life: PositiveFloat = 90.0
    """Days after which a rating counts half."""
    novelty: PositiveFloat = 90.0
    """Days since its first rating after which an item counts half."""


class NewItems:
    """Popular among the new. State: ``score`` (I,)."""

    def __init__(self, config: NewItemsConfig = NewItemsConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        first = np.full(dataset.n_items, dataset.as_of, dtype=np.int64)
        np.minimum.at(first, dataset.item_idx, dataset.at)
        novelty = np.exp2((first - dataset.as_of) / (self.config.novelty * DAY))
        popularity = decayed_popularity(dataset, self.config.half_life)
        self.state = {"score": (popularity * novelty).astype(np.float32)}
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        everyone = np.zeros(len(queries), dtype=np.int64)
        return recommend_in_order(self.state["score"][None], everyone, queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables()
