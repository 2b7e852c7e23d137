"""Items that a user was shown and did not watch: lists pass over them, or put them lower, for a while.

Showing again what was ignored is worth less each time: discounting impressions, Lee et al. (KDD 2014),
https://doi.org/10.1145/2623330.2623356. Here one discount serves for all of a window, because a Bloom filter
(``models.bloom``) tells whether an item was shown, not how often. What was watched is in no list anyway.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from models.bloom import BloomFilters
from models.bounds import Days, PositiveFraction
from models.candidates import Candidates
from models.config import Config
from models.dataset import Floats, Ints, Longs, Mask, Queries


class ExposureConfig(Config):
    """Films that a user was shown lately and did not watch."""

    source: Literal["none", "reported", "published"] = "none"
    """Films that count as shown: none, those that were `reported`, or the first ones of `published` lists."""
    published_ranks: PositiveInt = 10
    """First films of a published list that count as shown at its `as_of`, source published."""
    window_days: Days = 7.0
    """Days before `as_of` in which a film that was shown and not watched is passed over."""
    discount: PositiveFloat = math.inf
    """Log odds that a film loses by being shown; infinite: it comes after all films that were not."""
    false_positive_rate: Annotated[float, Field(ge=1e-6, le=0.5)] = 0.01
    """Fraction of the other films that a user's filter takes for shown; a tenth of it costs 5 bits a film."""
    negative_rate: PositiveFraction = 1.0
    """Fraction of the candidates shown and not watched that rankers learn from."""
    max_weight: Annotated[float, Field(ge=1)] = 10.0
    """Weight at most, in training, of a film watched at a rank that few look at; 1: all ranks are alike."""


@dataclass(frozen=True)
class ExposureLog:
    """N exposures, sorted by user and time."""

    user_idx: Ints  # (N,)
    item_idx: Ints  # (N,)
    at: Longs  # (N,) epoch seconds
    rank: Ints  # (N,) from 1; 0 is unknown


@dataclass(frozen=True)
class Shown:
    """Filters of what users were shown, and the score that it costs a film."""

    filters: BloomFilters
    discount: float
    """Log odds; infinite where such films are filtered."""

    @property
    def is_filtered(self) -> bool:
        """True if a film that was shown comes after all others, false if it loses some of its score."""
        return math.isinf(self.discount)

    def among(self, candidates: Candidates, queries: Queries) -> Mask:
        """(B, n) which candidates of the queries their users were shown."""
        item = candidates.item
        user = np.repeat(queries.user_idx, candidates.n)
        return self.filters.may_hold(user, item.ravel()).reshape(item.shape) & (item >= 0)


def behind(score: Floats, is_behind: Mask) -> Floats:
    """Scores (B, n), some lowered so that they come after all others of their row, in their own order."""
    listed = np.isfinite(score)
    high = np.max(score, axis=1, where=listed, initial=-np.inf, keepdims=True)
    low = np.min(score, axis=1, where=listed, initial=np.inf, keepdims=True)
    span = np.where(high >= low, high - low, 0) + 1
    return np.where(is_behind, score - span, score).astype(np.float32)
