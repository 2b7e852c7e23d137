"""A split: the part of a log that models may learn from, the queries, and their targets.

Splits are plain arrays over :class:`models.dataset.Dataset`, so that two people who compare metrics can
first compare the hash of their splits.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from models.dataset import Dataset, Ints, Mask, Queries
from models.digest import feed
from models.targets import Targets


@dataclass(frozen=True)
class Split:
    """One window of a protocol: fit on ``train``, answer ``queries``, compare with ``targets``.

    ``queries.log`` may be later than ``train`` (fitted once, asked again with later histories); rows of it
    at or after a query's ``end`` are that query's future and not to be read. ``slices`` are named masks
    over queries, (B,). ``items`` are the item_idx, in the log that was split, of the items here: all of
    them unless the protocol removes items.
    """

    protocol: str
    train: Dataset
    queries: Queries
    targets: Targets
    items: Ints  # (I,)
    window: str | None = None  # its first day, where a protocol has several windows
    slices: Mapping[str, Mask] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 (hex) of everything that a metric depends on; equal splits, equal digests."""
        sha = hashlib.sha256(f"{self.protocol} {self.train.as_of}".encode())
        for log in (self.train, self.queries.log):
            sha.update(f"{log.n_users} {log.n_items}".encode())
            feed(sha, log.user_idx, log.item_idx, log.rating, log.at)
        queries, targets = self.queries, self.targets
        feed(sha, queries.user_idx, queries.at, queries.start, queries.end, targets.indptr, targets.item)
        return sha.hexdigest()


def epoch(date: str) -> int:
    """Midnight, UTC, of an ISO date in epoch seconds."""
    return int(np.datetime64(date, "s").astype(np.int64))


def day(at: int) -> str:
    """The ISO date, UTC, of a moment in epoch seconds."""
    return str(np.datetime64(at, "s").astype("datetime64[D]"))


def span(log: Dataset) -> str:
    """The log's first and last day in words."""
    if not log.n_events:
        return "no events"
    return f"events from {day(int(log.at.min()))} to {day(int(log.at.max()))}"


def all_items(log: Dataset) -> Ints:
    """(I,) the items of a split that removes none."""
    return np.arange(log.n_items, dtype=np.int32)


def has_history(train: Dataset) -> Mask:
    """(U,) users with training history."""
    return np.diff(train.indptr) > 0
