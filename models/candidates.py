"""Lists of items: the candidates of queries, the neighbours of items."""

from dataclasses import dataclass

from models.dataset import Floats, Ints, Longs


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
