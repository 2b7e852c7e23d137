"""Films that earlier runs ranked for a user and did not show: good enough for ranking, still to be seen.

A queue a user, first in, first out: what the newest run ranked comes first, in its order. A film leaves once
it was shown, when it is older than ``max_age_days``, and when ``size`` films came in after it. A log says
nothing of earlier runs: fitted on one alone, the channel recalls nothing.
"""

from typing import Self

import numpy as np
from pydantic import PositiveInt

from models.bounds import Positive
from models.candidates import Candidates
from models.config import Config
from models.dataset import DAY, Dataset, Ints, Longs, Mask, Queries
from models.recall.contract import Tables
from models.state import State, moved
from models.top_n import first_unseen


class CacheConfig(Config):
    """When a film leaves the queue of a user."""

    size: PositiveInt = 300
    """Films held for a user, at most: those that came in first leave first."""
    max_age_days: Positive = 14.0
    """Days after the run that ranked it in which a film is held."""


class Cache:
    """Queues of films.

    State: ``item`` (U, n), newest first, padded with -1; ``at`` (U, n), the ``as_of`` of the runs that ranked
    them, in epoch seconds.
    """

    def __init__(self, config: CacheConfig = CacheConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        self.state = {
            "item": np.empty((dataset.n_users, 0), dtype=np.int32),
            "at": np.empty((dataset.n_users, 0), dtype=np.int64),
        }
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        # A row a query, as the age of a film goes by the time of the query; nobody's row is the last one.
        item, at = (np.pad(self.state[name], [(0, 1), (0, 0)], constant_values=-1) for name in ("item", "at"))
        user_idx = queries.user_idx
        young = self._is_young(at[user_idx], queries.at[:, None])
        listed = np.where(young, item[user_idx], -1)
        return first_unseen(listed, np.arange(len(queries)), queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables()

    def grow(self, users: Ints, items: Ints, n_users: int) -> Self:
        """Take the state over to a larger vocabulary: user (item) u is now ``users[u]`` of ``n_users``."""
        item = np.append(items, -1).astype(np.int32)[self.state["item"]]
        self.state = {
            "item": moved(item, users, n_users, fill=-1),
            "at": moved(self.state["at"], users, n_users, fill=-1),
        }
        return self

    def push(self, ranked: Ints, at: int) -> Self:
        """Add what a run as of ``at`` ranked and did not show: (U, n), best first, padded with -1.

        A film that is in the queue already goes to its front.
        """
        item = np.concatenate([ranked, self.state["item"]], axis=1)
        moment = np.concatenate([np.full(ranked.shape, at, dtype=np.int64), self.state["at"]], axis=1)
        return self._keep(item, moment, (item >= 0) & ~_is_repeated(item))

    def evict(self, shown: Mask, now: int) -> Self:
        """Let go of the films that were ``shown``, (U, n) as the state, of those too old, and of too many."""
        item, at = self.state["item"], self.state["at"]
        return self._keep(item, at, (item >= 0) & ~shown & self._is_young(at, now), self.config.size)

    def _is_young(self, at: Longs, now: Longs | int) -> Mask:
        young: Mask = at >= now - self.config.max_age_days * DAY
        return young

    def _keep(self, item: Ints, at: Longs, held: Mask, n: int | None = None) -> Self:
        """Move the cells that are ``held`` to the front of their rows, and cut these to n."""
        order = np.argsort(~held, axis=1, kind="stable")[:, :n]
        in_front = np.take_along_axis(held, order, axis=1)
        width = int(in_front.sum(axis=1).max(initial=0))
        self.state = {
            name: np.where(in_front, np.take_along_axis(values, order, axis=1), -1)[:, :width]
            for name, values in (("item", item), ("at", at))
        }
        return self


def _is_repeated(item: Ints) -> Mask:
    """(U, n) whether a cell has the item of one before it in its row."""
    order = np.argsort(item, axis=1, kind="stable")
    ordered = np.take_along_axis(item, order, axis=1)
    again = np.zeros(item.shape, dtype=np.bool_)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    found = np.empty_like(again)
    np.put_along_axis(found, order, again, axis=1)
    return found
