"""Popularity among users of the same gender and age: for users without a history.

Popularity in a demographic segment, smoothed towards the wider segment that holds it (gender and age ->
gender -> all, by ``demographics.back_off``), so that a small segment resembles the wider one.
Ratings fade with age as in ``popular``. Those of a user's first days alone may count: newcomers rate what
comes to everybody's mind, and who has been there for long is through with that. A user whose age is unknown
gets the list of the gender; one whose gender is unknown the list of all.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import PositiveFloat

from models.bounds import Positive
from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Ints, Longs, Queries
from models.recall.contract import Tables
from models.recall.demographics import back_off, counts_by_group, of_first_days, user_codes
from models.recall.in_order import recommend_in_order
from models.state import State
from models.top_n import best_of_rows


class SegmentConfig(Config):
    """How fast popularity fades and how much evidence a segment needs."""

    half_life: PositiveFloat = 365.0
    """Days after which a rating counts half."""
    smoothing: Positive = 1000.0
    """Ratings that the wider segment counts for in a segment (mu)."""
    first_days: PositiveFloat = math.inf
    """Days from a user's first rating on whose ratings count; by default all do."""


@dataclass(frozen=True)
class SegmentLists:
    """The best n items of each of S segments: rows of ``default_recommendations``."""

    gender: Ints  # (S,) code, -1 for any
    age: Ints  # (S,) code, -1 for any
    top: Candidates  # (S, n)


class Segment:
    """Popularity by gender and age with back-off.

    State: ``score`` (S, I); ``gender`` and ``age`` (S,), the codes of each segment, -1 for any. The rows are
    all users, each gender, each gender and age.
    """

    def __init__(self, config: SegmentConfig = SegmentConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        half_life, smoothing = self.config.half_life, self.config.smoothing
        dataset = of_first_days(dataset, self.config.first_days)
        gender, age = user_codes(dataset, "gender"), user_codes(dataset, "age")
        n_genders, n_ages = int(gender.max(initial=-1)) + 1, int(age.max(initial=-1)) + 1
        both = np.where((gender >= 0) & (age >= 0), gender * n_ages + age, -1)

        everyone = counts_by_group(dataset, np.zeros_like(gender), 1, half_life)
        popularity = everyone / max(float(everyone.sum()), 1.0)
        by_gender = back_off(counts_by_group(dataset, gender, n_genders, half_life), popularity, smoothing)
        by_both = back_off(
            counts_by_group(dataset, both, n_genders * n_ages, half_life),
            np.repeat(by_gender, n_ages, axis=0),
            smoothing,
        )
        score = np.concatenate([popularity, by_gender, by_both])  # (S, I)
        genders, ages = np.arange(n_genders), np.arange(n_ages)
        self.state = {
            "score": np.where(score > 0, score, -np.inf).astype(np.float32),
            "gender": np.concatenate([[-1], genders, np.repeat(genders, n_ages)]).astype(np.int32),
            "age": np.concatenate([[-1], np.full(n_genders, -1), np.tile(ages, n_genders)]).astype(np.int32),
        }
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        return recommend_in_order(self.state["score"], self._segment(queries), queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables()

    def lists(self, n: int) -> SegmentLists:
        """The best n items of every segment."""
        return SegmentLists(
            self.state["gender"], self.state["age"], Candidates(*best_of_rows(self.state["score"], n))
        )

    def _segment(self, queries: Queries) -> Longs:
        """(B,) the narrowest segment of each query's user."""
        n_genders = int(self.state["gender"].max()) + 1
        n_ages = int(self.state["age"].max()) + 1
        gender = user_codes(queries.log, "gender", queries.user_idx)
        age = user_codes(queries.log, "age", queries.user_idx)
        has_gender = (gender >= 0) & (gender < n_genders)
        has_both = has_gender & (age >= 0) & (age < n_ages)
        narrowest = np.where(has_both, 1 + n_genders + gender * n_ages + age, 1 + gender)
        return np.where(has_gender, narrowest, 0).astype(np.int64)
