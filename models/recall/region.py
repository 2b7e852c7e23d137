"""Popularity in the user's region.

Popularity among the users whose zip codes begin alike (the code ``region`` of the data set), smoothed
towards everybody's popularity (``demographics.back_off``). A user of unknown region gets the latter.
"""

from typing import Self

import numpy as np
from pydantic import PositiveFloat

from models.bounds import Positive
from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Queries
from models.recall.contract import Tables
from models.recall.demographics import back_off, counts_by_group, user_codes
from models.recall.in_order import recommend_in_order
from models.state import State


class RegionConfig(Config):
    """How fast popularity fades and how much evidence a region needs."""

    half_life: PositiveFloat = 180.0
    """Days after which a rating counts half."""
    smoothing: Positive = 10_000.0
    """Ratings that everybody's popularity counts for in a region."""


class Region:
    """Popularity by region. State: ``score`` (1 + R, I), all users first, then one row a region code."""

    def __init__(self, config: RegionConfig = RegionConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        half_life, smoothing = self.config.half_life, self.config.smoothing
        region = user_codes(dataset, "region")
        n_regions = int(region.max(initial=-1)) + 1
        everyone = counts_by_group(dataset, np.zeros_like(region), 1, half_life)
        popularity = everyone / max(float(everyone.sum()), 1.0)
        by_region = back_off(counts_by_group(dataset, region, n_regions, half_life), popularity, smoothing)
        score = np.concatenate([popularity, by_region])
        self.state = {"score": np.where(score > 0, score, -np.inf).astype(np.float32)}
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        region = user_codes(queries.log, "region", queries.user_idx)
        row = np.where(region < len(self.state["score"]) - 1, region + 1, 0)
        return recommend_in_order(self.state["score"], row, queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables()
