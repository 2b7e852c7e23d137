"""Rows of single ratings: did the user like the film, or with how many stars?

Seven fields and nothing else; of ``ctr-last`` also the last films that the user liked and disliked before the
row.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from models.dataset import Dataset, Floats, Ints, Longs, Mask
from models.encoding import USER_ATTRIBUTES
from models.evaluation.row_splits import disliked, liked
from models.features.declare import Declaration
from models.features.encode import fit_encoder
from models.features.extract import attributes
from models.features.schema import Feature, FeatureSchema
from models.rank.rows import Rows
from models.stars import Stars

LIKED, LOVED, HATED, STARS = "liked", "loved", "hated", "stars"
"""Tasks: liking, the highest rating, the lowest one, and the rating as a fraction of the scale."""

DEMOGRAPHICS = tuple(name for name in USER_ATTRIBUTES if name != "region")
"""Attributes of users among the fields."""

HISTORY = 30
"""Newest liked films, and newest disliked ones, that a row comes with."""


def rating_rows(log: Dataset, rows: Longs, history: bool = False, threshold: float | None = None) -> Rows:
    """Rows of the log, by ascending number, as they were at their time; labelled 1 where liked, loved, hated.

    A query is a user; with ``history`` it is a row, as each has a history of its own.

    Raises:
        KeyError: the log lacks an attribute.
    """
    rating, stars = log.rating[rows], Stars.of(log.rating)
    labels = liked(log, threshold)[rows], rating == stars.high, rating == stars.low
    found = _rows(log, rows, np.stack(labels, axis=1).astype(np.float32), (LIKED, LOVED, HATED))
    if not history:
        return found
    before = {"liked_items": liked(log, threshold), "disliked_items": disliked(log, threshold)}
    return _with_history(found, log, rows, before)


def graded_rows(log: Dataset, rows: Longs, threshold: float | None = None) -> Rows:
    """Rows of the log, by ascending number, labelled 1 where liked, 0 where disliked, and with their stars.

    What is neither liked nor disliked has stars alone.

    Raises:
        KeyError: the log lacks an attribute.
    """
    neutral = ~(liked(log, threshold) | disliked(log, threshold))[rows]
    label = np.where(neutral, np.nan, liked(log, threshold)[rows])
    stars = Stars.of(log.rating).fraction(log.rating[rows])
    return _rows(log, rows, np.stack([label, stars], axis=1).astype(np.float32), (LIKED, STARS))


def star_rows(log: Dataset, rows: Longs) -> Rows:
    """Rows of the log, by ascending number, labelled with their ratings as fractions of its scale.

    Raises:
        KeyError: the log lacks an attribute.
    """
    return _rows(log, rows, Stars.of(log.rating).fraction(log.rating[rows])[:, None], (STARS,))


def _rows(log: Dataset, rows: Longs, label: Floats, tasks: tuple[str, ...]) -> Rows:
    """Rows with the seven fields and labels (N, T)."""
    fields = _fields(log)
    raw = attributes(fields, log)
    encoder = fit_encoder(fields, (), raw, log)
    users, items, _ = encoder.encode(raw)
    user, item = log.user_idx[rows].astype(np.int64), log.item_idx[rows].astype(np.int64)
    return Rows(encoder.schema, user, item, users, items, {}, label, tasks)


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


def _with_history(rows: Rows, log: Dataset, numbers: Longs, before: Mapping[str, Mask]) -> Rows:
    """The same rows, each a query of its own with the films before it of each kind (E,)."""
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
