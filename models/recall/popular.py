"""The most popular items of late, the same for everybody.

Each rating counts 2^(-age / half-life), age being the time from the rating to the end of the log, so that
the score of an item is the number of its recent ratings. A later query would scale all scores alike, which
changes no order: the fitted scores serve it as they are.
"""

from typing import Self

import numpy as np
from pydantic import PositiveFloat

from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Floats, Queries
from models.recall.contract import Tables
from models.recall.demographics import counts_by_group
from models.recall.in_order import recommend_in_order
from models.state import State


class PopularConfig(Config):
    """How fast popularity fades."""

    half_life: PositiveFloat = 180.0
    """Days after which a rating counts half."""


def decayed_popularity(dataset: Dataset, half_life: float) -> Floats:
    """(I,) ratings of each item, each halved every ``half_life`` days before as_of; -inf for no rating."""
    everyone = np.zeros(dataset.n_users, dtype=np.int32)
    (score,) = counts_by_group(dataset, everyone, 1, half_life)
    rated = np.bincount(dataset.item_idx, minlength=dataset.n_items) > 0
    return np.where(rated, score, -np.inf).astype(np.float32)


class Popular:
    """Time-decayed popularity. State: ``score`` (I,)."""

    def __init__(self, config: PopularConfig = PopularConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        self.state = {"score": decayed_popularity(dataset, self.config.half_life)}
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        everyone = np.zeros(len(queries), dtype=np.int64)
        return recommend_in_order(self.state["score"][None], everyone, queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables()
