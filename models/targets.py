"""Targets: the items that answer queries, because their users went on to them."""

from dataclasses import dataclass

import numpy as np

from models.dataset import Dataset, Ints, Longs, Mask


@dataclass(frozen=True)
class Targets:
    """The items that answer B queries: query b is answered by ``item[indptr[b]:indptr[b + 1]]``.

    Every query has at least one target and none of them twice.

    Raises:
        ValueError: a query has no target.
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
        """The targets to keep, (T,) bool, and the numbers of the queries that still have one."""
        count = np.add.reduceat(keep, self.indptr[:-1], dtype=np.int64) if len(self) else self.count
        queries = np.flatnonzero(count)
        return Targets(offsets(count[queries]), self.item[keep]), queries


def offsets(count: Longs) -> Longs:
    """(N,) lengths to the (N + 1,) bounds of the runs they describe."""
    return np.concatenate([[0], np.cumsum(count)]).astype(np.int64)


def one_each(log: Dataset, rows: Longs) -> Targets:
    """Rows of the log as targets, a query each."""
    return Targets(np.arange(len(rows) + 1, dtype=np.int64), log.item_idx[rows])


def in_runs(log: Dataset, rows: Longs, begin: Longs) -> Targets:
    """Rows of the log as targets, a query a run: ``begin`` are the positions in ``rows`` where runs begin."""
    return Targets(offsets(np.diff(np.append(begin, len(rows)))), log.item_idx[rows])


def run_starts(*keys: Longs | Ints) -> Longs:
    """Positions where a run of rows with equal keys begins; the keys are not empty."""
    new = np.zeros(len(keys[0]), dtype=np.bool_)
    new[0] = True
    for key in keys:
        new[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(new)
