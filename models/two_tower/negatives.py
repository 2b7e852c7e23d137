"""Negatives: items other than the target of a position, drawn from any mixture of distributions.

- uniform over the items that occur
- popularity to the power 0.75 (Mikolov et al. 2013, arXiv 1310.4546), of all items or the most frequent ones
- rare: uniform over the items with few events, beside popularity ones
- in-batch: targets of other positions, whose frequency is estimated from the stream (Yi et al. 2019,
  https://doi.org/10.1145/3298689.3346996); with uniform ones beside them it is mixed negative sampling
  (Yang et al. 2020, https://doi.org/10.1145/3366424.3386195)
- hard: items that the model of the epoch before ranked high, but not at the top (Huang et al. 2020,
  "Embedding-based Retrieval in Facebook Search", arXiv 2006.11632), or items that an earlier run ranked for
  the user and did not publish

All but the last are shared by a batch. Of a mixture with counts n_s and distributions q_s a sample holds item
j on average n_1 q_1(j) + n_2 q_2(j) + ... times: the correction of its score, whatever kind drew it. Without
the correction of in-batch negatives their q is taken for uniform.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Mask
from models.state import State
from models.two_tower.config import NegativesConfig

POWER = 0.75
"""Power of an item's number of events that popularity negatives are drawn by."""


@dataclass(frozen=True)
class Shared:
    """M negatives of a whole batch."""

    item: Longs  # (M,)
    log_expected: Floats  # (M,) log of how often a sample holds the item on average


class Frequencies:
    """The frequency of each item among the targets, from the gaps between its occurrences (Yi et al. 2019).

    A gap is counted in targets, so that an item may occur several times in a batch.
    """

    def __init__(self, gap: Doubles, rate: float) -> None:
        """``gap`` (I,): the gaps to start from; ``rate``: the weight of the newest gap."""
        self.rate = rate
        self.n_targets = 0
        self.last = np.zeros(len(gap))
        self.gap = gap

    def observe(self, targets: Longs) -> None:
        """Learn from the targets (N,) of the next batch."""
        item, count = np.unique(targets, return_counts=True)
        self.n_targets += len(targets)
        gap = (self.n_targets - self.last[item]) / count
        old = (1 - self.rate) ** count
        self.gap[item] = old * self.gap[item] + (1 - old) * gap
        self.last[item] = self.n_targets

    def arrays(self) -> State:
        """A copy of the whole estimate."""
        return {"last": self.last.copy(), "gap": self.gap.copy(), "n_targets": np.array(self.n_targets)}

    def set_arrays(self, arrays: State) -> None:
        """Go back to the estimate that ``arrays`` gave."""
        self.last, self.gap = arrays["last"].copy(), arrays["gap"].copy()
        self.n_targets = int(arrays["n_targets"])

    def of(self, items: Longs) -> Doubles:
        """The estimated frequencies of some items, as fractions of the targets."""
        frequency: Doubles = 1 / np.maximum(self.gap[items], 1.0)
        return frequency


class Sampler:
    """Draws the shared negatives of each batch."""

    def __init__(self, events: Longs, config: NegativesConfig) -> None:
        """``events`` (I,): how often each item occurs; items that never do are no negatives."""
        self.config = config
        self.occurring = np.flatnonzero(events > 0)
        power = _of_top(events, config.popularity_top) ** POWER
        self.cumulated = np.cumsum(power)
        self.popularity = power / max(power.sum(), 1.0)
        rare = np.flatnonzero((events > 0) & (events < config.rare_below))
        # Where nothing is rare all items are as good.
        self.rare = rare if len(rare) else self.occurring
        self.frequencies = Frequencies(events.sum() / np.maximum(events, 1), config.gap_rate)

    def draw(self, targets: Longs, rng: np.random.Generator) -> Shared:
        """Negatives for a batch with these targets (N,), which the frequencies learn from first."""
        config = self.config
        if config.every_item:
            return self._all_or_sample(rng)
        uniform = self.occurring[rng.integers(0, len(self.occurring), config.uniform)]
        point = rng.random(config.popularity) * self.cumulated[-1]
        popular = np.searchsorted(self.cumulated, point, side="right")
        drawn = [uniform, popular, self.rare[rng.integers(0, len(self.rare), config.rare)]]
        if config.in_batch:
            self.frequencies.observe(targets)
            drawn.append(targets[rng.integers(0, len(targets), config.in_batch)])
        item = np.concatenate(drawn)
        return Shared(item, np.log(self._expected(item)).astype(np.float32))

    def _all_or_sample(self, rng: np.random.Generator) -> Shared:
        """All items that occur, or, of more than ``every_item_up_to``, as many drawn uniformly."""
        n, most = len(self.occurring), self.config.every_item_up_to
        if n <= most:
            return Shared(self.occurring, np.zeros(n, dtype=np.float32))
        expected = np.full(most, np.log(most / n), dtype=np.float32)
        return Shared(self.occurring[rng.integers(0, n, most)], expected)

    def _expected(self, item: Longs) -> Doubles:
        config = self.config
        n_uniform = config.uniform if config.correct_in_batch else config.uniform + config.in_batch
        expected = n_uniform / len(self.occurring) + config.popularity * self.popularity[item]
        if config.rare:
            expected = expected + config.rare / len(self.rare) * np.isin(item, self.rare)
        if config.in_batch and config.correct_in_batch:
            expected = expected + config.in_batch * self.frequencies.of(item)
        return np.asarray(expected)


def draw_hard(ranked: Ints, user: Longs, n: int, rng: np.random.Generator) -> Longs:
    """n items (N, n) for each of N positions, from its user's row of ``ranked`` (U, K), padded with -1.

    All are -1 for a user whose row is padding alone.
    """
    size = (ranked >= 0).sum(axis=1)[user, None]  # (N, 1)
    column = (rng.random((len(user), n)) * size).astype(np.int64)
    drawn: Longs = ranked[user[:, None], column].astype(np.int64)
    return drawn


def unseen(ranked: Ints, dataset: Dataset) -> Ints:
    """(U, K) the lists without the items that their users have in the log, padded with -1."""
    seen = np.unique(dataset.user_idx.astype(np.int64) * dataset.n_items + dataset.item_idx)
    pair = np.arange(len(ranked), dtype=np.int64)[:, None] * dataset.n_items + ranked
    left = np.where((ranked < 0) | np.isin(pair, seen), -1, ranked)
    order = np.argsort(left < 0, axis=1, kind="stable")
    return np.take_along_axis(left, order, axis=1).astype(np.int32)


def _of_top(events: Longs, n: int) -> Longs:
    """(I,) the events of the n most frequent items, ties by index, 0 for all others; n = 0 leaves all."""
    if n == 0:
        return events
    top = np.argsort(-events, kind="stable")[:n]
    limited = np.zeros_like(events)
    limited[top] = events[top]
    return limited


def seen_by(users: Longs, items: Longs, dataset: Dataset) -> Mask:
    """(B, M) whether each of the users (B,) has each of the items (M,) anywhere in the log."""
    slot = np.full(dataset.n_items, -1, dtype=np.int64)
    distinct, where = np.unique(items, return_inverse=True)
    slot[distinct] = np.arange(len(distinct))
    return _marked(users, slot, len(distinct), dataset.indptr, dataset.item_idx)[:, where]


@njit(cache=True)
def _marked(users: Longs, slot: Longs, n_slots: int, indptr: Longs, item: Ints) -> Mask:
    marked = np.zeros((len(users), n_slots), dtype=np.bool_)
    for row in range(len(users)):
        for event in range(indptr[users[row]], indptr[users[row] + 1]):
            column = slot[item[event]]
            if column >= 0:
                marked[row, column] = True
    return marked
