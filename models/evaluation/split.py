"""A split: what models may learn from, the questions asked, and the answers.

Splits are plain arrays over :class:`models.dataset.Dataset`, so that two people who compare figures can
first compare the hash of their splits.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset import Dataset, Ints, Longs, Queries

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Targets:
    """The items that answer B queries: query b is answered by ``item[indptr[b]:indptr[b + 1]]``.

    Every query has at least one target and none of them twice.
    """

    indptr: Longs  # (B + 1,)
    item: Ints  # (T,)

    def __post_init__(self) -> None:
        if not (np.diff(self.indptr) > 0).all():
            raise ValueError("every query needs a target")

    def __len__(self) -> int:
        """B, the number of queries."""
        return len(self.indptr) - 1

    @property
    def count(self) -> Longs:
        """(B,) how many targets each query has."""
        return np.diff(self.indptr)

    @property
    def query(self) -> Longs:
        """(T,) the query of each target."""
        return np.repeat(np.arange(len(self)), self.count)

    def where(self, keep: Mask) -> tuple["Targets", Longs]:
        """The kept targets, (T,) bool, and the numbers of the queries that still have one."""
        count = np.add.reduceat(keep, self.indptr[:-1], dtype=np.int64) if len(self) else self.count
        queries = np.flatnonzero(count)
        return Targets(offsets(count[queries]), self.item[keep]), queries


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
        """SHA-256 (hex) of everything that a figure depends on; equal splits, equal digests."""
        sha = hashlib.sha256(f"{self.protocol} {self.train.as_of}".encode())
        for log in (self.train, self.queries.log):
            sha.update(f"{log.n_users} {log.n_items}".encode())
            feed(sha, log.user_idx, log.item_idx, log.rating, log.at)
        asked, targets = self.queries, self.targets
        feed(sha, asked.user_idx, asked.at, asked.start, asked.end, targets.indptr, targets.item)
        return sha.hexdigest()


def feed(sha: "hashlib._Hash", *arrays: NDArray[np.generic]) -> None:
    """Let a hash read arrays of any shapes; two of them never hash like one that joins them."""
    for array in arrays:
        sha.update(f"{array.dtype.str} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)


def offsets(count: Longs) -> Longs:
    """(N,) lengths to the (N + 1,) bounds of the runs they describe."""
    return np.concatenate([[0], np.cumsum(count)]).astype(np.int64)


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


def first_ratings(log: Dataset) -> Mask:
    """(E,) whether the row is the user's first rating of its item.

    Seen items are filtered from every list, so a film rated again is nobody's target.
    """
    pair = log.user_idx.astype(np.int64) * log.n_items + log.item_idx
    first = np.zeros(log.n_events, dtype=np.bool_)
    first[np.unique(pair, return_index=True)[1]] = True
    return first


def rows_beyond(log: Dataset, other: Dataset) -> Longs:
    """The rows of a log whose events (user, item, time) another log of equal vocabulary does not have."""
    mine, theirs = _events(log).with_row_index("row"), _events(other)
    beyond = mine.join(theirs, on=theirs.columns, how="anti", maintain_order="left")
    return beyond["row"].to_numpy().astype(np.int64)


def _events(log: Dataset) -> pl.DataFrame:
    return pl.DataFrame({"user": log.user_idx, "item": log.item_idx, "at": log.at})


def rows_before(log: Dataset, users: Ints, at: Longs) -> Longs:
    """(B,) the first row of each user that is not before ``at``: where that user's history ends."""
    if not log.n_events:
        return np.zeros(len(users), dtype=np.int64)
    origin = log.at.min()
    span = log.at.max() - origin + 2
    key = log.user_idx * span + (log.at - origin)
    rows: Longs = np.searchsorted(key, users * span + np.clip(at - origin, 0, span - 1)).astype(np.int64)
    return rows
