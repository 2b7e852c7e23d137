"""The contract of every trained ranker, neural or not."""

from typing import Protocol

from models.dataset import Floats
from models.rank.rows import Rows
from models.state import State


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
