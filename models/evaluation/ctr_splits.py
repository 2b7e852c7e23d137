"""Splits of single ratings, to compare ranking models: did the user like the film?

A rating above 3 is a positive, one below 3 a negative; 3 itself is dropped. Splits are row numbers of the
log, so that the history strictly before each row is ``queries_before(log, rows)``.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.dataset import Dataset, Floats, Longs
from models.evaluation.split import span

NEUTRAL = 3.0
"""The rating that is neither liked nor disliked."""
TEST_FRACTION = 0.1
"""Fraction of the labelled rows of ``ctr-random`` that tests; validation gets as many."""


@dataclass(frozen=True)
class CtrSplit:
    """Row numbers of the log, ascending; the three parts together are all labelled rows, each once."""

    train: Longs
    validation: Longs
    test: Longs

    def digest(self, log: Dataset) -> str:
        """SHA-256 (hex) of the rows and of the log: equal splits, equal digests."""
        sha = hashlib.sha256()
        for array in (self.train, self.validation, self.test, log.user_idx, log.item_idx, log.rating, log.at):
            sha.update(f"{array.dtype} {len(array)}".encode())
            sha.update(array.tobytes())
        return sha.hexdigest()


def ctr_labels(log: Dataset, rows: Longs) -> Floats:
    """(N,) 1 where the rating of the row is above 3, else 0."""
    return (log.rating[rows] > NEUTRAL).astype(np.float32)


def ctr_random(log: Dataset, seed: int = 0) -> CtrSplit:
    """Eight random tenths of the labelled rows to train on, one for validation, one to test.

    Raises:
        ValueError: there are fewer than ten.
    """
    rows = np.random.default_rng(seed).permutation(_labelled(log))
    tenth = int(TEST_FRACTION * len(rows))
    if not tenth:
        raise ValueError(f"ctr-random needs ten ratings above or below 3; the log has {span(log)}")
    train, validation, test = np.split(rows, [len(rows) - 2 * tenth, len(rows) - tenth])
    return CtrSplit(np.sort(train), np.sort(validation), np.sort(test))


def ctr_last(log: Dataset) -> CtrSplit:
    """Each user's last labelled row to test, the one before for validation, earlier ones to train on.

    A user's only labelled row is a test row.

    Raises:
        ValueError: no user has three.
    """
    rows = _labelled(log)
    count = np.bincount(log.user_idx[rows], minlength=log.n_users)
    from_last = np.cumsum(count)[log.user_idx[rows]] - np.arange(len(rows))  # 1 for a user's last row
    train = rows[from_last > 2]
    if not len(train):
        raise ValueError(f"ctr-last needs users with three ratings above or below 3; the log has {span(log)}")
    return CtrSplit(train, rows[from_last == 2], rows[from_last == 1])


CTR_PROTOCOLS: dict[str, Callable[[Dataset, int], CtrSplit]] = {
    "ctr-random": ctr_random,
    "ctr-last": lambda log, seed: ctr_last(log),
}
"""The protocols of rankers by name: a log and a seed to a split."""


def _labelled(log: Dataset) -> Longs:
    return np.flatnonzero(log.rating != NEUTRAL)
