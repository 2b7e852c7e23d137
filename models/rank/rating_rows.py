"""Rows of the protocols ``ctr-random`` and ``ctr-last``: did the user like the film?

Seven fields and nothing else; where the split is in time, also the last films that the user liked and
disliked before the row.
"""

from dataclasses import replace

import numpy as np

from models.dataset import Dataset, Ints, Longs, Mask
from models.encoding import USER_ATTRIBUTES
from models.evaluation.ctr_splits import NEUTRAL, ctr_labels
from models.features.declare import Declaration
from models.features.encode import fit_encoder
from models.features.extract import attributes
from models.features.schema import Feature, FeatureSchema
from models.rank.rows import Rows

LIKED = "liked"
"""The only task: a rating above 3."""

DEMOGRAPHICS = tuple(name for name in USER_ATTRIBUTES if name != "region")
"""Attributes of users among the fields."""

HISTORY = 30
"""Newest liked films, and newest disliked ones, that a row comes with."""


def rating_rows(log: Dataset, rows: Longs, history: bool = False) -> Rows:
    """Labelled rows of the log, by ascending number, as they were when nothing later was known.

    A query is a user; with ``history`` it is a row, as each has a history of its own.

    Raises:
        KeyError: the log lacks an attribute.
    """
    fields = _fields(log)
    raw = attributes(fields, log)
    encoder = fit_encoder(fields, (), raw, log)
    users, items, _ = encoder.encode(raw)
    user, item = log.user_idx[rows].astype(np.int64), log.item_idx[rows].astype(np.int64)
    label = ctr_labels(log, rows)[:, None]
    found = Rows(encoder.schema, user, item, users, items, {}, label, (LIKED,))
    return _with_history(found, log, rows) if history else found


def _fields(log: Dataset) -> tuple[Declaration, ...]:
    """The seven fields; a year is a code of its own."""
    missing = {*DEMOGRAPHICS} - log.users.keys() | {"year", "genres"} - log.items.keys()
    if missing:
        raise KeyError(f"the log has no {', '.join(sorted(missing))}")
    years = np.unique(np.maximum(log.items["year"].astype(np.int64), -1))
    return (
        Declaration("user", "id", "categorical", "attribute", "index"),
        *(Declaration("user", name, "categorical", "attribute", name) for name in DEMOGRAPHICS),
        Declaration("item", "id", "categorical", "attribute", "index"),
        Declaration(
            "item", "year", "bucketed", "attribute", "year", edges=tuple(years[years >= 0][1:].tolist())
        ),
        Declaration("item", "genres", "multi_hot", "attribute", "genres"),
    )


def _with_history(rows: Rows, log: Dataset, numbers: Longs) -> Rows:
    """The same rows, each a query of its own with the films liked and disliked before it."""
    before = {"liked_items": log.rating > NEUTRAL, "disliked_items": log.rating < NEUTRAL}
    queries = {name: codes[rows.query] for name, codes in rows.queries.items()}
    queries |= {name: _before(log, numbers, which) for name, which in before.items()}
    sequences = (Feature(name, "user", "sequence", log.n_items + 1, "item_id") for name in before)
    schema = FeatureSchema((*rows.schema.features, *sequences))
    return replace(rows, schema=schema, query=np.arange(len(numbers)), queries=queries)


def _before(log: Dataset, rows: Longs, which: Mask) -> Ints:
    """(N, HISTORY) codes of the user's newest events of a kind before each row, padded in front with 0."""
    events = np.flatnonzero(which)
    begin = np.searchsorted(events, log.indptr[log.user_idx[rows]])
    end = np.searchsorted(events, rows)
    codes = np.zeros((len(rows), HISTORY), dtype=np.int32)
    for back in range(1, HISTORY + 1):
        exists = end - back >= begin
        codes[exists, -back] = log.item_idx[events[(end - back)[exists]]] + 1
    return codes
