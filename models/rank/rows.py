"""Rows to rank: pairs of a query and an item, encoded features kept once a query and once an item."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.dataset import Floats, Longs, Mask
from models.features.schema import FeatureSchema

Columns = Mapping[str, NDArray[Any]]
"""Encoded features by name; one row a query, an item or a pair."""

Batch = dict[str, torch.Tensor]
"""Encoded features of B rows by name: (B,), (B, L) for sequences, (B, size) for multi-hot."""


@dataclass(frozen=True)
class Rows:
    """N pairs. ``query`` is non-decreasing, so that the rows of a query are one slice.

    Labels are 1, 0 or nan (not known for this row: left out of the loss), one column a task.
    """

    schema: FeatureSchema
    query: Longs  # (N,) row of the columns in ``queries``
    item: Longs  # (N,) row of the columns in ``items``
    queries: Columns  # user and context features, sequences
    items: Columns  # features of the item that do not depend on the time
    pairs: Columns  # cross features, and statistics of the item at the query's time: (N,) or (N, size)
    label: Floats  # (N, T)
    tasks: tuple[str, ...]  # T names; the first is the main task

    def __len__(self) -> int:
        return len(self.query)

    def where(self, kept: Mask) -> "Rows":
        """The same queries and items with only the kept rows, (N,) bool."""
        query, item, label = self.query[kept], self.item[kept], self.label[kept]
        pairs = {name: column[kept] for name, column in self.pairs.items()}
        return replace(self, query=query, item=item, pairs=pairs, label=label)

    def batch(self, rows: Longs) -> Batch:
        """The features of some rows, gathered."""
        numbers = ((self.queries, self.query[rows]), (self.items, self.item[rows]), (self.pairs, rows))
        return {
            name: torch.from_numpy(np.ascontiguousarray(column[number]))
            for columns, number in numbers
            for name, column in columns.items()
        }


def check_training(train: Rows, validation: Rows) -> None:
    """Raises ValueError without training or validation rows, or if the two differ in features."""
    if not len(train) or not len(validation):
        raise ValueError("training needs rows to learn from and rows to stop by")
    if train.schema != validation.schema:
        raise ValueError("training and validation rows have different features")


def check_features(rows: Rows, schema: FeatureSchema, model: str = "ranker") -> None:
    """Raises ValueError if the rows have other features than those of the schema, the model's."""
    if rows.schema != schema:
        raise ValueError(f"these rows have other features than those the {model} was trained on")
