"""Rows of the protocols ``ctr-random`` and ``ctr-last``: did the user like the film?

Seven fields and nothing else; where the split is in time, also the last films that the user liked and
disliked before the row.
"""

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset, Ints, Longs
from models.evaluation.ctr_splits import NEUTRAL, ctr_labels
from models.features.schema import Feature, FeatureSchema
from models.rank.rows import Rows

LIKED = "liked"
"""The only task: a rating above 3."""

HISTORY = 30
"""Newest liked films, and newest disliked ones, that a row comes with."""


def ctr_rows(log: Dataset, rows: Longs, history: bool = False) -> Rows:
    """Labelled rows of the log, by ascending number, as they were when nothing later was known.

    A query is a user; with ``history`` it is a row, as each has a history of its own. Raises KeyError if
    the log lacks an attribute.
    """
    user, item = log.user_idx[rows].astype(np.int64), log.item_idx[rows].astype(np.int64)
    users = {name: _codes(log.users[name]) for name in ("gender", "age", "occupation")}
    users = {"user_id": _codes(np.arange(log.n_users))} | users
    items = {"item_id": _codes(np.arange(log.n_items)), "year": _dense(log.items["year"])}
    genres = log.items["genres"].astype(np.float32)
    features = [Feature(name, "user", "categorical", _size(codes)) for name, codes in users.items()]
    features += [Feature(name, "item", "categorical", _size(codes)) for name, codes in items.items()]
    features.append(Feature("genres", "item", "multi_hot", genres.shape[1]))
    query = user
    if history:
        query = np.arange(len(rows))
        users = {name: codes[user] for name, codes in users.items()}
        users["liked_items"] = _before(log, rows, log.rating > NEUTRAL)
        users["disliked_items"] = _before(log, rows, log.rating < NEUTRAL)
        features += [
            Feature(name, "user", "sequence", log.n_items + 1, "item_id")
            for name in ("liked_items", "disliked_items")
        ]
    label = ctr_labels(log, rows)[:, None]
    return Rows(
        FeatureSchema(tuple(features)), query, item, users, {**items, "genres": genres}, {}, label, (LIKED,)
    )


def _codes(attribute: NDArray[np.generic]) -> Ints:
    """Codes from 1; 0 stands for unknown (-1)."""
    return (attribute + 1).astype(np.int32)


def _dense(number: NDArray[np.generic]) -> Ints:
    """Codes from 1 by ascending value, 0 for unknown (-1)."""
    known = np.unique(np.append(number, -1))
    return np.searchsorted(known, number).astype(np.int32)


def _size(codes: Ints) -> int:
    return int(codes.max(initial=0)) + 1


def _before(log: Dataset, rows: Longs, which: NDArray[np.bool_]) -> Ints:
    """(N, HISTORY) codes of the user's newest events of a kind before each row, padded in front with 0."""
    events = np.flatnonzero(which)
    begin = np.searchsorted(events, log.indptr[log.user_idx[rows]])
    end = np.searchsorted(events, rows)
    codes = np.zeros((len(rows), HISTORY), dtype=np.int32)
    for back in range(1, HISTORY + 1):
        there = end - back >= begin
        codes[there, -back] = log.item_idx[events[(end - back)[there]]] + 1
    return codes
