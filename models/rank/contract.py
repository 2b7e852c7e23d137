"""The contract of every ranker, neural or not: untrained and trained."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from models.config import Config
from models.dataset import Floats
from models.features.schema import FeatureSchema
from models.rank.rows import Rows
from models.state import State

if TYPE_CHECKING:  # rankers that are no networks need no torch
    from torch import nn


class Trained(Protocol):
    """A ranker that has been trained."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The T tasks that it predicts, the main task first."""
        ...

    @property
    def state(self) -> State:
        """All that it learned; the schema of its features is under ``schema``, as JSON in bytes (uint8)."""
        ...

    def logits(self, rows: Rows) -> Floats:
        """(N, T) log odds of each task; labels are not read.

        Raises:
            ValueError: the schema of the rows is not the one it was trained on.
        """
        ...


@dataclass(frozen=True)
class Ranker:
    """A kind of ranker."""

    fit: Callable[[Rows, Rows, int, Any], Trained]
    """Trains on rows; others tell it when to stop. Then the seed and the settings: same seed, same result."""
    restore: Callable[[State, Any], Trained]
    """Rebuilds it from its state and its settings; it answers the same."""
    settings: Config
    """Settings unless a configuration says otherwise."""
    network: Callable[[FeatureSchema, int, Any], "nn.Module"] | None = None
    """Makes an untrained network from schema, number of tasks and settings; None for what is no network."""
    most_tasks: int | None = 1
    """Tasks that it learns at most, the main task first; None for all of them."""
    stops_early: bool = True
    """Training stops by the validation rows; otherwise they are read by nothing."""
