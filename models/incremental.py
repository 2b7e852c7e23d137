"""Checkpoints of a training and reports of an update: what models hand out that learn on from their state."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from models.dataset import Floats, Longs
from models.state import State


@dataclass(frozen=True)
class Checkpoint:
    """All that training needs to go on after an epoch."""

    epoch: int  # epochs done
    curve: Floats  # (epochs done, 2): mean training loss, validation NDCG@10 (or minus RMSE)
    arrays: State  # of the model's own: weights, the optimiser's moments

    def to_arrays(self) -> State:
        """All of it as named arrays."""
        return self.arrays | {"epoch": np.array(self.epoch), "curve": self.curve}

    @classmethod
    def from_arrays(cls, arrays: State) -> Self:
        """The checkpoint that became these arrays."""
        own = {name: value for name, value in arrays.items() if name not in ("epoch", "curve")}
        return cls(int(arrays["epoch"]), arrays["curve"], own)


CheckpointCallback = Callable[[Checkpoint], None]
"""Is called after each epoch of a training."""


@dataclass(frozen=True)
class UpdateReport:
    """Measurements of an update, for people and for a guard against drift."""

    rows: Mapping[str, Longs]  # by ID table: the rows that may have changed, ascending; row 0 is nobody's
    shift_mean: float  # Euclidean length of the change of the vector of an item that reads such a row
    shift_max: float
    norm_mean: float  # Euclidean length of those vectors before
    new_before: float  # mean loss of the new events
    new_after: float
    old_before: float  # mean loss of a sample of the history that was not replayed
    old_after: float
    drift: str | None = None  # in words, why the update is not to be trusted; None if it is

    def metrics(self) -> dict[str, float]:
        """The measurements worth publishing, by name; those that are not finite are left out."""
        values = {name: value for name, value in vars(self).items() if isinstance(value, float)}
        return {name: value for name, value in values.items() if np.isfinite(value)}
