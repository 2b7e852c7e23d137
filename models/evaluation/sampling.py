"""Less of a split or a log: enough to choose a few weights by, or to have every function compiled."""

from dataclasses import replace

import numpy as np

from models.dataset import Dataset, Longs
from models.evaluation.protocols import only_items
from models.evaluation.split import Split
from models.sampling import spread

SMALL = 50
"""Items of the small part of a log: models that invert item by item matrices fit it in no time."""

SMALL_EVENTS = 2_000
"""Ratings of it, at most."""


def some_queries(split: Split, n: int) -> Split:
    """The same training part with at most n of the queries, evenly spread."""
    return with_queries(split, spread(len(split.queries), n))


def with_queries(split: Split, rows: Longs) -> Split:
    """The same training part with the queries of these numbers (b,), ascending."""
    targets, _ = split.targets.where(np.isin(split.targets.query, rows))
    slices = {name: mask[rows] for name, mask in split.slices.items()}
    return replace(split, queries=split.queries.take(rows), targets=targets, slices=slices)


def small_part(log: Dataset) -> Dataset:
    """The first users' ratings of the most rated items: a log of the same shape that costs nothing to fit."""
    count = np.bincount(log.item_idx, minlength=log.n_items)
    items = np.sort(np.argsort(-count, kind="stable")[:SMALL]).astype(np.int32)
    part = only_items(log, items)
    return part.where(np.arange(part.n_events) < SMALL_EVENTS)
