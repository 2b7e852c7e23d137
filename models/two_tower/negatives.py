"""Negatives: items that a place did not go on to, drawn from any mixture of distributions.

- uniform over the items that occur
- popularity to the power 0.75 (Mikolov et al. 2013, arXiv 1310.4546)
- in-batch: other places' targets, whose frequency is estimated from the stream (Yi et al. 2019,
  https://doi.org/10.1145/3298689.3346996); with uniform ones beside them it is mixed negative sampling
  (Yang et al. 2020, https://doi.org/10.1145/3366424.3386195)
- hard: from what the model of the epoch before ranked high, but not at the top (Huang et al. 2020,
  "Embedding-based Retrieval in Facebook Search", arXiv 2006.11632)

The first three are shared by a batch. Of a mixture with counts n_s and distributions q_s a sample holds item
j on average n_1 q_1(j) + n_2 q_2(j) + ... times: the correction of its score, whatever kind drew it.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.dataset import Dataset, Floats, Ints, Longs
from models.state import State
from models.two_tower.config import NegativesConfig

Doubles = NDArray[np.float64]

POWER = 0.75
"""Of the popularity."""


@dataclass(frozen=True)
class Shared:
    """M negatives of a whole batch."""

    item: Longs  # (M,)
    log_expected: Floats  # (M,) log of how often a sample holds the item on average


class Frequencies:
    """The share of each item among the targets, from the gaps between its occurrences (Yi et al. 2019).

    A gap is counted in targets, so that an item may occur several times in a batch.
    """

    def __init__(self, gap: Doubles, rate: float) -> None:
        """``gap`` (I,): the gaps to start from; ``rate``: the weight of the newest gap."""
        self.rate = rate
        self.seen = 0
        self.last = np.zeros(len(gap))
        self.gap = gap

    def observe(self, targets: Longs) -> None:
        """Learn from the targets (N,) of the next batch."""
        item, count = np.unique(targets, return_counts=True)
        self.seen += len(targets)
        gap = (self.seen - self.last[item]) / count
        kept = (1 - self.rate) ** count
        self.gap[item] = kept * self.gap[item] + (1 - kept) * gap
        self.last[item] = self.seen

    def arrays(self) -> State:
        """A copy of all there is to it."""
        return {"last": self.last.copy(), "gap": self.gap.copy(), "seen": np.array(self.seen)}

    def set_arrays(self, arrays: State) -> None:
        """Go back to what ``arrays`` gave."""
        self.last, self.gap, self.seen = arrays["last"].copy(), arrays["gap"].copy(), int(arrays["seen"])

    def share(self, items: Longs) -> Doubles:
        """The estimated share of some items."""
        share: Doubles = 1 / np.maximum(self.gap[items], 1.0)
        return share


class Sampler:
    """Draws the shared negatives of each batch."""

    def __init__(self, events: Longs, config: NegativesConfig) -> None:
        """``events`` (I,): how often each item occurs; items that never do are no negatives."""
        self.config = config
        self.known = np.flatnonzero(events > 0)
        power = events**POWER
        self.cumulated = np.cumsum(power)
        self.popularity = power / max(power.sum(), 1.0)
        self.frequencies = Frequencies(events.sum() / np.maximum(events, 1), config.gap_rate)

    def draw(self, targets: Longs, rng: np.random.Generator) -> Shared:
        """Negatives for a batch with these targets (N,), which the frequencies learn from first."""
        config = self.config
        uniform = self.known[rng.integers(0, len(self.known), config.uniform)]
        place = rng.random(config.popularity) * self.cumulated[-1]
        popular = np.searchsorted(self.cumulated, place, side="right")
        drawn = [uniform, popular]
        if config.in_batch:
            self.frequencies.observe(targets)
            drawn.append(targets[rng.integers(0, len(targets), config.in_batch)])
        item = np.concatenate(drawn)
        return Shared(item, np.log(self._expected(item)).astype(np.float32))

    def _expected(self, item: Longs) -> Doubles:
        config = self.config
        expected = config.uniform / len(self.known) + config.popularity * self.popularity[item]
        if config.in_batch:
            expected = expected + config.in_batch * self.frequencies.share(item)
        return np.asarray(expected)


def draw_hard(ranked: Ints, user: Longs, n: int, rng: np.random.Generator) -> Longs:
    """n items (N, n) for each of N places, from its user's row of ``ranked`` (U, K); -1 is padding."""
    column = rng.integers(0, ranked.shape[1], (len(user), n))
    return ranked[user[:, None], column].astype(np.int64)


def seen_by(users: Longs, items: Longs, dataset: Dataset) -> NDArray[np.bool_]:
    """(B, M) whether each of the users (B,) has each of the items (M,) anywhere in the log."""
    slot = np.full(dataset.n_items, -1, dtype=np.int64)
    distinct, where = np.unique(items, return_inverse=True)
    slot[distinct] = np.arange(len(distinct))
    return _marked(users, slot, len(distinct), dataset.indptr, dataset.item_idx)[:, where]


@njit(cache=True)
def _marked(users: Longs, slot: Longs, n_slots: int, indptr: Longs, item: Ints) -> NDArray[np.bool_]:
    marked = np.zeros((len(users), n_slots), dtype=np.bool_)
    for row in range(len(users)):
        for event in range(indptr[users[row]], indptr[users[row] + 1]):
            place = slot[item[event]]
            if place >= 0:
                marked[row, place] = True
    return marked
