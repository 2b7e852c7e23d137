"""Behaviour: clicks, likes and time watched of the films that users were shown, beside their ratings."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.dataset import Floats, Ints, Longs


@dataclass(frozen=True)
class Behaviour:
    """N pairs of a user and an item, sorted by both, each once; nan where nobody tells.

    Indices are those of a log of ``n_items`` items.
    """

    user_idx: Ints  # (N,)
    item_idx: Ints  # (N,)
    clicked: Floats  # (N,) 1 for what was played, 0 for what was shown and passed over
    liked: Floats  # (N,) 1 or 0, as the next two
    collected: Floats
    shared: Floats
    watch_seconds: Floats  # (N,)
    duration_seconds: Floats  # (N,) length of the film
    n_items: int

    def of(self, name: str, user: Ints, item: Ints) -> Floats:
        """(M,) a column at some pairs (M,) of user and item; nan for a pair that is not in here."""
        if not len(self._key):
            return np.full(len(user), np.nan, dtype=np.float32)
        wanted = self._keys(user, item)
        row = np.minimum(np.searchsorted(self._key, wanted), len(self._key) - 1)
        column: Floats = getattr(self, name)
        return np.where(self._key[row] == wanted, column[row], np.float32(np.nan))

    @cached_property
    def mean_minutes(self) -> float:
        """The mean time watched of what was played; 1 where nobody tells it."""
        seconds = self.watch_seconds[(self.clicked == 1) & ~np.isnan(self.watch_seconds)]
        return float(seconds.mean(dtype=np.float64)) / 60 if seconds.any() else 1.0

    @cached_property
    def _key(self) -> Longs:
        return self._keys(self.user_idx, self.item_idx)

    def _keys(self, user: Ints, item: Ints) -> Longs:
        return user.astype(np.int64) * self.n_items + item
