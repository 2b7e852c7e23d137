"""Extraction: the values of declared features for queries, items and pairs, point in time.

A feature of a user reads the history of the query; one of an item, the ratings strictly before the query's
time. Both hold in training and in scoring alike: it is the same code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.dataset import Dataset
from models.features.compute import Pairs
from models.features.declare import Declaration
from models.features.registry import OF_LISTS, OF_PAIR, OF_PAST, OF_QUERY
from models.features.schema import Column, Columns
from models.features.statistics import of_users, statistic
from models.features.taste import genre_sets


@dataclass(frozen=True)
class Raw:
    """Values before encoding, nan (numbers) or -1 (codes) where missing, by the feature's column name."""

    queries: Mapping[str, Column]  # (Q,) or (Q, L)
    items: Mapping[str, Column]  # (I,) or (I, G)
    pairs: Mapping[str, Column]  # (N,)

    def column(self, name: str) -> Column:
        """The values of one feature."""
        part = next(part for part in (self.queries, self.items, self.pairs) if name in part)
        return part[name]


def expand(declared: Sequence[Declaration], lists: Sequence[str]) -> list[tuple[str, Declaration]]:
    """Every feature's name and declaration; one of channels once for each of the ``lists``."""
    return [
        (prefix + feature.column, feature)
        for feature in declared
        for prefix in ([f"{channel}_" for channel in lists] if feature.side == "channel" else [""])
    ]


def extract(declared: Sequence[Declaration], lists: Sequence[str], pairs: Pairs) -> Raw:
    """All features of some pairs; ``lists`` are the names of the columns of ``pairs.rank``."""
    queries: Columns = {}
    items: Columns = {}
    of_pairs: Columns = {}
    for feature in declared:
        name = feature.column
        if feature.side == "channel":
            values = OF_LISTS[feature.what](pairs)  # (N, C)
            of_pairs |= {f"{channel}_{feature.name}": values[:, c] for c, channel in enumerate(lists)}
        elif feature.side == "cross":
            of_pairs[name] = OF_PAIR[feature.what](pairs, **feature.parameters)
        elif feature.side == "item" and feature.source == "statistic":
            of_pairs[name] = statistic(feature.what, pairs.past_of_items, feature.parameters)
        elif feature.side == "item":
            items[name] = of_items(feature.what, pairs.queries.log)
        else:
            queries[name] = _of_query(feature, pairs)
    return Raw(queries, items, of_pairs)


def _of_query(feature: Declaration, pairs: Pairs) -> Column:
    queries = pairs.queries
    if feature.source == "statistic":
        past = of_users(pairs.past.by_user, queries)
        return statistic(feature.what, past, feature.parameters)
    if feature.source == "compute":
        if feature.what in OF_PAST:
            return OF_PAST[feature.what](pairs, **feature.parameters)
        return OF_QUERY[feature.what](queries, **feature.parameters)
    if feature.what == "index":
        return queries.user_idx
    if feature.what not in queries.log.users:
        return np.full(len(queries), -1)
    codes = queries.log.users[feature.what][queries.user_idx]
    return np.where(queries.user_idx >= 0, codes, -1)


def attributes(declared: Sequence[Declaration], log: Dataset) -> Raw:
    """Attributes of all users, one more for a user that nobody knows, and of all items."""
    users = {
        feature.column: _with_unknown(attribute(feature.what, log.users, log.n_users))
        for feature in declared
        if feature.side == "user"
    }
    items = {feature.column: of_items(feature.what, log) for feature in declared if feature.side == "item"}
    return Raw(users, items, {})


def of_items(name: str, log: Dataset) -> Column:
    """(I,) or (I, K) an attribute of the items, all missing if the log lacks it."""
    if name == "genre_set":
        return genre_sets(log)
    found = attribute(name, log.items, log.n_items)
    return found.reshape(log.n_items, -1) if name == "title" else found


def attribute(name: str, attributes: Mapping[str, Column], n: int) -> Column:
    """A column of the log's attributes, ``index`` for the number itself; all missing if the log lacks it."""
    if name == "index":
        return np.arange(n)
    return attributes[name] if name in attributes else np.full(n, -1)


def _with_unknown(codes: Column) -> Column:
    """(U + 1,) codes of U users, and of a user that nobody knows: the index -1 finds it."""
    return np.append(codes, -1)
