"""A model taken over to a larger vocabulary: old rows move to their new indices, new ones start average."""

from dataclasses import replace

import numpy as np

from models.dataset import Ints
from models.features.schema import Feature, FeatureSchema
from models.state import State, moved, pack_text, unpack_text

AUGMENTED = "_augmented"
"""Ends the name of the table of augmented vectors beside an ID table."""

ITEM_TABLES = ("item_id", "history", "bias", "item_id" + AUGMENTED)
USER_TABLES = ("user_id", "user_id" + AUGMENTED)
"""Embedding tables with a row an item, and with a row a user."""


def grow(state: State, users: Ints, items: Ints, n_users: int, n_items: int) -> State:
    """The state over ``n_users`` and ``n_items``; the old user (item) u is now ``users[u]`` (``items[u]``).

    Answers for old users stay the same. A new row of an ID table is the mean of the old rows that
    occur, so that a new user or item behaves like an average one until it learns; a new item has no features
    before the next training or update, and is recommended from its first event on. Tables whose rows ids
    share stay as they are, and a new id reads none of them before then.
    """
    grown = dict(state)
    for name in ITEM_TABLES:
        key = f"weight.tables.{name}.weight"
        if key in state and (name == "bias" or "rows.item" not in state):
            grown[key] = _grown_table(state[key], items, n_items, state["has_events"])
    for name in USER_TABLES:
        key = f"weight.tables.{name}.weight"
        if key in state and "rows.user" not in state:
            everybody = np.ones(len(users), dtype=bool)
            grown[key] = _grown_table(state[key], users, n_users, everybody)
    for key, column in state.items():
        if key.startswith("item.") or key in ("has_events", "rows.item"):
            grown[key] = moved(column, items, n_items)
        elif key == "rows.user":
            grown[key] = moved(column, users, n_users)
    grown["item.item_id"] = np.arange(1, n_items + 1)
    grown["schema"] = _grown_schema(state["schema"], n_users, n_items)
    return grown


def _grown_table(table: np.ndarray, position: Ints, n: int, occurs: np.ndarray) -> np.ndarray:
    """(n + 1, D) from (old n + 1, D): row 0 is that of nobody."""
    average = table[1:][occurs].mean(axis=0) if occurs.any() else np.zeros_like(table[0])
    grown = np.tile(average, (n + 1, 1)).astype(table.dtype)
    grown[0] = table[0]
    grown[position + 1] = table[1:]
    return grown


def _grown_schema(schema: np.ndarray, n_users: int, n_items: int) -> np.ndarray:
    size = {"item_id": n_items + 1, "history": n_items + 1, "user_id": n_users + 1}

    def grown(feature: Feature) -> Feature:
        return replace(feature, size=size.get(feature.name, feature.size))

    features = FeatureSchema.from_json(unpack_text(schema)).features
    return pack_text(FeatureSchema(tuple(map(grown, features))).to_json())
