"""What every recall channel offers (candidate generation)."""

from dataclasses import dataclass
from typing import Any, Protocol, Self

from numpy.typing import NDArray

from models.dataset import Dataset, Floats, Ints, Longs, Queries

State = dict[str, NDArray[Any]]
"""Learned state: named arrays, so that it becomes tables and .npz files, never pickles."""


@dataclass(frozen=True)
class Candidates:
    """The best n items of B queries: scores non-increasing, ties by ascending item, padded with -1.

    The score of padding is -inf.
    """

    item: Ints  # (B, n)
    score: Floats  # (B, n)

    @property
    def n(self) -> int:
        """The width of the list."""
        return int(self.item.shape[1])

    def take(self, rows: Longs) -> "Candidates":
        """The lists of the queries of these numbers (b,)."""
        return Candidates(self.item[rows], self.score[rows])


@dataclass(frozen=True)
class Neighbours:
    """The nearest items of each item, best first, padded with -1 / -inf: rows of ``item_similarity``."""

    item: Ints  # (I, K)
    score: Floats  # (I, K)


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
