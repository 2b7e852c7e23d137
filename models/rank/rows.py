"""Rows to rank: pairs of a query and an item, encoded features kept once a query and once an item."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from models.dataset import Floats, Longs, Mask
from models.features.compute import Pairs
from models.features.encode import Encoder
from models.features.extract import Raw
from models.features.schema import Columns, FeatureSchema

if TYPE_CHECKING:  # trees read rows too, without torch
    import torch

Batch: TypeAlias = "dict[str, torch.Tensor]"
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
    weight: Floats | None = None  # (N,) in the loss; None: all count alike

    @staticmethod
    def of(pairs: Pairs, raw: Raw, encoder: Encoder) -> "Rows":
        """Pairs with their features ``raw`` encoded, without labels."""
        label = np.empty((len(pairs.query), 0), dtype=np.float32)
        return Rows(
            encoder.schema, pairs.query, pairs.item.astype(np.int64), *encoder.encode(raw), label, tasks=()
        )

    def __len__(self) -> int:
        return len(self.query)

    def where(self, chosen: Mask) -> "Rows":
        """The same queries and items with only the chosen rows, (N,) bool."""
        query, item, label = self.query[chosen], self.item[chosen], self.label[chosen]
        pairs = {name: column[chosen] for name, column in self.pairs.items()}
        weight = None if self.weight is None else self.weight[chosen]
        return replace(self, query=query, item=item, pairs=pairs, label=label, weight=weight)

    def batch(self, rows: Longs) -> Batch:
        """The features of some rows, gathered."""
        import torch

        numbers = ((self.queries, self.query[rows]), (self.items, self.item[rows]), (self.pairs, rows))
        return {
            name: torch.from_numpy(np.ascontiguousarray(column[number]))
            for columns, number in numbers
            for name, column in columns.items()
        }


def check_training(train: Rows, validation: Rows) -> None:
    """Refuse rows that nothing can be learned from.

    Raises:
        ValueError: there are no training or no validation rows, or the two differ in features.
    """
    if not len(train) or not len(validation):
        raise ValueError("training needs rows to learn from and rows to stop by")
    if train.schema != validation.schema:
        raise ValueError("training and validation rows have different features")


def check_features(rows: Rows, schema: FeatureSchema) -> None:
    """Refuse rows that a ranker was not trained for.

    Raises:
        ValueError: the rows have other features than those of the schema, the ranker's.
    """
    if rows.schema != schema:
        raise ValueError("these rows have other features than those the ranker was trained on")
