"""Splits of single ratings: did the user like the film, or with how many stars?

Liked is a rating above 3, disliked one below 3, and 3 itself is dropped; with a threshold, liked is what
reaches it and disliked all else. Splits are row numbers of the log, so that the history strictly before each
row is ``queries_before(log, rows)``.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from models.dataset import Dataset, Longs, Mask
from models.evaluation.split import span

NEUTRAL = 3.0
"""The rating that is neither liked nor disliked."""
TEST_FRACTION = 0.1
"""Fraction of the rows that tests; validation gets as many."""

GOOD = 4.0
"""The least rating of a film that was liked, where ratings themselves are predicted."""


@dataclass(frozen=True)
class RowSplit:
    """Row numbers of the log, ascending; the first three parts are all rows that count, each once."""

    train: Longs
    validation: Longs
    test: Longs
    neutral: Longs = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Rows that were neither liked nor disliked, and that whoever asks for the test rows may learn from."""

    def digest(self, log: Dataset) -> str:
        """SHA-256 (hex) of the rows and of the log: equal splits, equal digests."""
        sha = hashlib.sha256()
        for array in (self.train, self.validation, self.test, log.user_idx, log.item_idx, log.rating, log.at):
            sha.update(f"{array.dtype} {len(array)}".encode())
            sha.update(array.tobytes())
        return sha.hexdigest()


def liked(log: Dataset, threshold: float | None = None) -> Mask:
    """(E,) the ratings that reach the threshold; without one, those above 3."""
    return log.rating > NEUTRAL if threshold is None else log.rating >= threshold


def disliked(log: Dataset, threshold: float | None = None) -> Mask:
    """(E,) the ratings below the threshold; without one, those below 3."""
    return log.rating < (NEUTRAL if threshold is None else threshold)


def ctr_random(log: Dataset, seed: int = 0, threshold: float | None = None) -> RowSplit:
    """Eight random tenths of the labelled rows to train on, one for validation, one to test.

    Raises:
        ValueError: there are fewer than ten.
    """
    rows = np.random.default_rng(seed).permutation(_labelled(log, threshold))
    return replace(_tenths(rows, log, "ctr-random"), neutral=_neutral(log, threshold))


def rating_random(log: Dataset, seed: int = 0) -> RowSplit:
    """The same of all rows.

    Raises:
        ValueError: there are fewer than ten.
    """
    return _tenths(np.random.default_rng(seed).permutation(log.n_events), log, "rating")


def rating_time(log: Dataset) -> RowSplit:
    """The newest tenth of all rows to test, the one before for validation, earlier ones to train on.

    Raises:
        ValueError: there are fewer than ten.
    """
    return _tenths(np.argsort(log.at, kind="stable"), log, "rating-time")


def ctr_last(log: Dataset, threshold: float | None = None) -> RowSplit:
    """Each user's last labelled row to test, the one before for validation, earlier ones to train on.

    A user's only labelled row is a test row.

    Raises:
        ValueError: no user has three.
    """
    rows = _labelled(log, threshold)
    count = np.bincount(log.user_idx[rows], minlength=log.n_users)
    from_last = np.cumsum(count)[log.user_idx[rows]] - np.arange(len(rows))  # 1 for a user's last row
    train = rows[from_last > 2]
    if not len(train):
        raise ValueError(f"ctr-last needs users with three ratings that count; the log has {span(log)}")
    test, neutral = rows[from_last == 1], _neutral(log, threshold)
    until = np.full(log.n_users, log.n_events)
    until[log.user_idx[test]] = test
    earlier = neutral[neutral < until[log.user_idx[neutral]]]
    return RowSplit(train, rows[from_last == 2], test, earlier)


CTR_PROTOCOLS: dict[str, Callable[[Dataset, int, float | None], RowSplit]] = {
    "ctr-random": ctr_random,
    "ctr-last": lambda log, seed, threshold: ctr_last(log, threshold),
}
"""The protocols of liking by name: a log, a seed and a threshold to a split."""

RATING_PROTOCOLS: dict[str, Callable[[Dataset, int], RowSplit]] = {
    "rating": rating_random,
    "rating-time": lambda log, seed: rating_time(log),
}
"""The protocols of ratings by name: a log and a seed to a split."""


def _labelled(log: Dataset, threshold: float | None) -> Longs:
    """The rows that count.

    Raises:
        ValueError: all of them are liked, or all disliked.
    """
    is_liked, is_disliked = liked(log, threshold), disliked(log, threshold)
    if is_liked.any() != is_disliked.any():
        answer = "liked" if is_liked.any() else "disliked"
        raise ValueError(f"all ratings that count are {answer}: there is nothing to tell apart")
    return np.flatnonzero(is_liked | is_disliked)


def _neutral(log: Dataset, threshold: float | None) -> Longs:
    return np.flatnonzero(~(liked(log, threshold) | disliked(log, threshold)))


def _tenths(rows: Longs, log: Dataset, protocol: str) -> RowSplit:
    """The last tenth of rows tests, the one before validates."""
    tenth = int(TEST_FRACTION * len(rows))
    if not tenth:
        raise ValueError(f"{protocol} needs ten ratings that count; the log has {span(log)}")
    train, validation, test = np.split(rows, [len(rows) - 2 * tenth, len(rows) - tenth])
    return RowSplit(np.sort(train), np.sort(validation), np.sort(test))
