"""Slices that metrics are taken of: groups of queries, and groups of targets.

A slice is a boolean mask with a name such as ``user=hot`` or ``gender=F``. Slices of one kind do not
overlap. Which users and items are hot is defined on the training part, never on the test.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from pydantic import PositiveInt, model_validator

from models.bounds import Fraction
from models.config import Config
from models.dataset import DAY, Ints, Longs, Mask, rows_before
from models.evaluation.metrics import raters
from models.evaluation.split import Split

Categories = Mapping[str, Sequence[str]]
"""The names of the codes of a user attribute, in the order of the codes."""


class SliceConfig(Config):
    """Bounds of the groups of users and items."""

    cold: Fraction = 0.2
    """Quantile of the training counts (of users, or items, that have any) up to which one is cold."""
    hot: Fraction = 0.8
    """Quantile of the training counts above which one is hot."""
    recent_days: PositiveInt = 30
    """Days before the query in which events count as activity."""
    active_events: PositiveInt = 10
    """Recent events from which on a user's activity is high."""
    attributes: tuple[str, ...] = ("gender", "age")
    """User attributes to slice by, where the data set has them."""

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        if self.cold > self.hot:
            raise ValueError(f"cold must not be above hot, but {self.cold} is above {self.hot}")
        return self


def query_slices(split: Split, config: SliceConfig, categories: Categories) -> dict[str, Mask]:
    """Masks (B,): the split's own, then users by training count, recent activity and attributes."""
    counts = np.diff(split.train.indptr)
    groups = {
        f"user={name}": mask[split.queries.user_idx] for name, mask in _by_count(counts, config).items()
    }
    slices = dict(split.slices) | groups | _activity(split, config)
    for name in config.attributes:
        if name in split.train.users:
            codes = split.train.users[name][split.queries.user_idx]
            slices |= _by_code(name, codes.astype(np.int64), categories.get(name))
    return slices


def target_slices(split: Split, config: SliceConfig) -> dict[str, Mask]:
    """Masks (T,): the targets by how many users rated them in the training part."""
    groups = _by_count(raters(split.train), config)
    return {f"item={name}": mask[split.targets.item] for name, mask in groups.items()}


def _by_count(counts: Longs, config: SliceConfig) -> dict[str, Mask]:
    """(N,) masks; whoever has no event at all is cold."""
    low, high = np.quantile(counts[counts > 0], [config.cold, config.hot])
    return {"hot": counts > high, "warm": (counts > low) & (counts <= high), "cold": counts <= low}


def _activity(split: Split, config: SliceConfig) -> dict[str, Mask]:
    queries = split.queries
    since = queries.at - config.recent_days * DAY
    first = np.maximum(queries.start, rows_before(queries.log, queries.user_idx, since))
    recent = queries.end - first
    return {
        "activity=none": recent <= 0,
        "activity=low": (recent > 0) & (recent < config.active_events),
        "activity=high": recent >= config.active_events,
    }


def _by_code(name: str, codes: Longs | Ints, categories: Sequence[str] | None) -> dict[str, Mask]:
    slices = {}
    for code in np.unique(codes):
        label = "unknown" if code < 0 else str(code) if categories is None else categories[code]
        slices[f"{name}={label}"] = codes == code
    return slices
