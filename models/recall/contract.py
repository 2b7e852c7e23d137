"""What every recall channel offers (candidate generation)."""

from dataclasses import dataclass
from typing import Protocol, Self

from models.candidates import Candidates, Neighbours
from models.dataset import Dataset, Floats, Queries
from models.state import State


@dataclass(frozen=True)
class Tables:
    """What a channel publishes for people to query; None where it has no such thing."""

    item_similarity: Neighbours | None = None
    item_embeddings: Floats | None = None  # (I, D)
    user_embeddings: Floats | None = None  # (U, D)


class Recaller(Protocol):
    """A recall channel: fitted once on a log, then asked for candidates for any later history.

    ``state`` holds all that ``fit`` learned; a fresh instance of the same config given that state answers
    the same. Randomness enters by a seed in the config: the same log gives the same state.
    """

    state: State

    def fit(self, dataset: Dataset) -> Self:
        """Learn from the log; sets ``state``."""
        ...

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        """At most n candidates a query, without the items of its history unless told otherwise.

        A channel that knows nothing for a query returns only padding; the merge fills up.
        """
        ...

    def tables(self) -> Tables:
        """The similarities and embeddings worth publishing."""
        ...
