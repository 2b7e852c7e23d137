"""The features of rows as sparse matrices: one of the queries, one of the items, one of the pairs.

With the ids of user and item among the features, a user is also the set of items of the training rows, and an
item the set of their users: what SVD++ calls implicit feedback, https://doi.org/10.1145/1401890.1401944.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array, hstack

from models.dataset import Ints, Longs
from models.features.schema import Column, Columns, Feature
from models.rank.rows import Rows
from models.state import State, named

USER, ITEM = "user_id", "item_id"
"""Names of the features that are ids."""


@dataclass(frozen=True)
class DesignBlock:
    """Features that depend on the query alone, the item alone, or both."""

    row: Longs  # (N,) row of the matrix of each row to rank
    matrix: csr_array  # (R, J)
    group: Ints  # (J,) number of the feature that each column is of

    @cached_property
    def squares(self) -> csr_array:
        """(R, J) the matrix with squared values."""
        return csr_array(self.matrix.multiply(self.matrix))


def sets_of(train: Rows) -> State:
    """The items of each user and the users of each item in some rows; nothing without both ids.

    By the name of the id: ``indptr`` and ``index`` of a sparse matrix, a row a code, and its ``width``.
    """
    columns = train.queries | train.items
    if not {USER, ITEM} <= columns.keys():
        return {}
    user, item = columns[USER][train.query], columns[ITEM][train.item]
    width = {feature.name: feature.size for feature in train.schema.features}
    both = csr_array((np.ones(len(user), np.float32), (user, item)), (width[USER], width[ITEM]))
    sets = {USER: both, ITEM: both.T.tocsr()}
    return {
        f"{name}.{key}": value
        for name, matrix in sets.items()
        for key, value in (
            ("indptr", matrix.indptr),
            ("index", matrix.indices),
            ("width", np.array(matrix.shape[1])),
        )
    }


def parts(rows: Rows, sets: State) -> dict[str, DesignBlock]:
    """The features of ``queries``, ``items`` and ``pairs``, and the sets of their ids, if there are any."""
    numbers = {"queries": rows.query, "items": rows.item, "pairs": np.arange(len(rows))}
    found = {}
    for name, row in numbers.items():
        columns: Columns = getattr(rows, name)
        matrices = list(_matrices(columns, rows.schema.features, sets))
        if matrices:
            group = np.repeat(np.arange(len(matrices)), [matrix.shape[1] for matrix in matrices])
            found[name] = DesignBlock(row, csr_array(hstack(matrices, "csr")), group.astype(np.int32))
    return found


def _matrices(columns: Columns, features: Sequence[Feature], sets: State) -> Iterator[csr_array]:
    for feature in features:
        if feature.name in columns:
            yield _encoded(columns[feature.name], feature)
    for name in (USER, ITEM):
        if name in columns and sets:
            yield _set_of_each(columns[name], named(sets, f"{name}."))


def _encoded(column: Column, feature: Feature) -> csr_array:
    """(R, size) a one for a code, several of length 1 together; nothing for code 0 (missing)."""
    if feature.kind == "numeric":
        return csr_array(column.astype(np.float32)[:, None])
    if feature.kind == "multi_hot":
        return _normalised(csr_array(column.astype(np.float32)))
    codes = column.reshape(len(column), -1)
    row, position = np.nonzero(codes)
    ones = np.ones(len(row), np.float32)
    return _normalised(csr_array((ones, (row, codes[row, position])), (len(codes), feature.size)))


def _set_of_each(codes: Column, of: State) -> csr_array:
    """(R, width) the set of each id."""
    ones = np.ones(len(of["index"]), np.float32)
    whole = csr_array((ones, of["index"], of["indptr"]), (len(of["indptr"]) - 1, int(of["width"])))
    return _normalised(csr_array(whole[codes]))


def _normalised(matrix: csr_array) -> csr_array:
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)))
    matrix.data /= np.repeat(length, np.diff(matrix.indptr))
    return matrix
