"""Bloom filters, one a user, in one array: which items a user may have met, and which certainly not.

A filter of m bits with k hashes holds n items (Bloom 1970, https://doi.org/10.1145/362686.362692). It says of
another item that it holds it, wrongly, where all k bits of that one are set:

    P = sum over d of  S(k, d) m! / ((m - d)! m^k)  sum over j of  (-1)^j C(d, j) (1 - j / m)^(k n)

with the Stirling numbers S(k, d): the k bits are d distinct ones, each of which the k n bits of the n items
have hit. Bloom's (1 - e^(-k n / m))^k is what remains for large m; for the few items of a user it is too
small by tens of percent (Bose et al. 2008, https://doi.org/10.1016/j.ipl.2008.05.018), so m and k are chosen
by the sum. The k bits come from k numbers of one stream (SplitMix64, https://doi.org/10.1145/2714064.2660195)
that begins at the user and the item: two hashes combined k times would meet too often in a hundred bits.
"""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple, Self

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from models.dataset import Doubles, Ints, Longs, Mask
from models.splitmix import GOLDEN, below, mix

Bytes = NDArray[np.uint8]

NEAR = 0.03
"""Relative distance from the rate within which the fewest bits decide."""

MORE_BITS = 12
"""Sizes that are tried, from Bloom's formula on: the exact one is a few bits above it, however many items."""


class BloomFilters(NamedTuple):
    """The filters of F users, each in whole bytes of its own."""

    user_idx: Ints  # (F,) ascending
    n_bits: Ints  # (F,)
    n_hashes: Bytes  # (F,)
    start: Longs  # (F + 1,) the bytes of filter f are start[f] to start[f + 1]
    bits: Bytes

    @classmethod
    def of(cls, columns: Mapping[str, NDArray[Any]]) -> Self:
        """The filters of which ``columns`` are kept."""
        start = np.concatenate([[0], np.cumsum(_n_bytes(columns["n_bits"]))]).astype(np.int64)
        return cls(columns["user_idx"], columns["n_bits"], columns["n_hashes"], start, columns["bits"])

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """All but ``start``, which follows from them: those of several groups of users may be joined."""
        return {name: array for name, array in self._asdict().items() if name != "start"}

    def rows(self, user_idx: Ints) -> Ints:
        """(B,) the filter of each user, -1 for those without one."""
        if not len(self.user_idx):
            return np.full(len(user_idx), -1, dtype=np.int32)
        row = np.minimum(np.searchsorted(self.user_idx, user_idx), len(self.user_idx) - 1)
        return np.where(self.user_idx[row] == user_idx, row, -1).astype(np.int32)

    def may_hold(self, user_idx: Ints, item_idx: Ints) -> Mask:
        """(N,) whether the user's filter says that it holds the item; never wrong where it says no."""
        return _may_hold(self, self.rows(user_idx), item_idx)


def build(user_idx: Ints, item_idx: Ints, rate: float) -> BloomFilters:
    """The filters of the users of distinct pairs (E,), which are sorted by user; each of its own size.

    ``rate`` is the fraction of other items that a filter takes for its own, at least 1e-6.
    """
    users, first, counts = np.unique(user_idx, return_index=True, return_counts=True)
    sizes, which = np.unique(counts, return_inverse=True)
    chosen = np.array([design(int(n), rate) for n in sizes], dtype=np.int64).reshape(-1, 2)[which]
    n_bits, n_hashes = chosen[:, 0].astype(np.int32), chosen[:, 1].astype(np.uint8)
    bits = np.zeros(_n_bytes(n_bits).sum(), dtype=np.uint8)
    filters = BloomFilters.of(
        {"user_idx": users.astype(np.int32), "n_bits": n_bits, "n_hashes": n_hashes, "bits": bits}
    )
    _insert(filters, np.append(first, len(user_idx)), item_idx)
    return filters


def false_positives(
    filters: BloomFilters, user_idx: Ints, item_idx: Ints, n_items: int, n_probes: int, seed: int
) -> tuple[int, int]:
    """How many of the items that a filter was asked for and does not hold it took for its own, and how many.

    Every user is asked for ``n_probes`` random items of all. The pairs (E,) are those that the filters hold,
    sorted by user and item.
    """
    start = np.searchsorted(user_idx, filters.user_idx, side="left")
    end = np.searchsorted(user_idx, filters.user_idx, side="right")
    wrong, n_probed = _probe(filters, start, end, item_idx, n_items, n_probes, seed)
    return int(wrong.sum()), int(n_probed.sum())


@cache
def design(n: int, rate: float) -> tuple[int, int]:
    """Bits and hashes of a filter of n items: of the rates nearest to ``rate`` that of the fewest bits."""
    best = (math.inf, 0, 0)
    usual = round(-math.log2(rate))
    for n_hashes in range(max(1, usual - 5), usual + 3):
        fewest = max(1, math.floor(-n_hashes * n / math.log1p(-(rate ** (1 / n_hashes)))))
        n_bits = np.arange(fewest, fewest + MORE_BITS)
        distance = np.abs(np.log(false_positive_rate(n, n_bits, n_hashes) / rate))
        near = np.maximum(distance, NEAR)
        nearest = int(np.argmin(near))
        best = min(best, (float(near[nearest]), int(n_bits[nearest]), n_hashes))
    return best[1], best[2]


def false_positive_rate(n: int, n_bits: Longs, n_hashes: int) -> Doubles:
    """(M,) the fraction of other items that filters of n items and these sizes take for their own."""
    total = np.zeros(len(n_bits))
    hits = n_hashes * n
    unhit = [(1 - np.minimum(j / n_bits, 1)) ** hits for j in range(n_hashes + 1)]
    distinct = np.ones(len(n_bits))  # m! / (m - d)! / m^k, factor by factor
    for d in range(1, n_hashes + 1):
        distinct = distinct * np.maximum(n_bits - d + 1, 0) / n_bits
        all_hit = sum((-1) ** j * math.comb(d, j) * unhit[j] for j in range(d + 1))
        total += _stirling(n_hashes, d) * distinct * (1.0 / n_bits) ** (n_hashes - d) * all_hit
    return total


@cache
def _stirling(k: int, d: int) -> int:
    """The number of ways to part k things into d groups."""
    if k == 0 or d == 0:
        return int(k == d)
    return d * _stirling(k - 1, d) + _stirling(k - 1, d - 1)


def _n_bytes(n_bits: Ints) -> Longs:
    return (n_bits.astype(np.int64) + 7) // 8


@njit(cache=True)
def _stream(user: int, item: int) -> np.uint64:
    """The beginning of the stream of a user and an item."""
    return mix((np.uint64(user) << np.uint64(32)) | np.uint64(item))


@njit(cache=True)
def holds(filters: BloomFilters, row: int, item: int) -> bool:
    """Whether filter ``row`` says that it holds the item."""
    state, start = _stream(filters.user_idx[row], item), filters.start[row]
    for _ in range(filters.n_hashes[row]):
        state += GOLDEN
        bit = below(mix(state), filters.n_bits[row])
        if (filters.bits[start + (bit >> 3)] >> (bit & 7)) & 1 == 0:
            return False
    return True


@njit(parallel=True, cache=True)
def _insert(filters: BloomFilters, indptr: Longs, item: Ints) -> None:
    bits = filters.bits
    for row in prange(len(filters.user_idx)):
        start = filters.start[row]
        for event in range(indptr[row], indptr[row + 1]):
            state = _stream(filters.user_idx[row], item[event])
            for _ in range(filters.n_hashes[row]):
                state += GOLDEN
                bit = below(mix(state), filters.n_bits[row])
                bits[start + (bit >> 3)] |= np.uint8(1 << (bit & 7))


@njit(parallel=True, cache=True)
def _may_hold(filters: BloomFilters, row: Ints, item: Ints) -> Mask:
    found = np.zeros(len(row), dtype=np.bool_)
    for n in prange(len(row)):
        found[n] = row[n] >= 0 and holds(filters, row[n], item[n])
    return found


@njit(parallel=True, cache=True)
def _probe(
    filters: BloomFilters, start: Longs, end: Longs, item: Ints, n_items: int, n_probes: int, seed: int
) -> tuple[Longs, Longs]:
    wrong = np.zeros(len(filters.user_idx), dtype=np.int64)
    n_probed = np.zeros(len(filters.user_idx), dtype=np.int64)
    for row in prange(len(filters.user_idx)):
        mine = item[start[row] : end[row]]
        state = _stream(filters.user_idx[row], seed)
        for _ in range(n_probes):
            state += GOLDEN
            probe = below(mix(state), n_items)
            position = np.searchsorted(mine, probe)
            if position < len(mine) and mine[position] == probe:
                continue
            n_probed[row] += 1
            wrong[row] += holds(filters, row, int(probe))
    return wrong, n_probed


NOTHING = BloomFilters.of(
    {
        "user_idx": np.empty(0, dtype=np.int32),
        "n_bits": np.empty(0, dtype=np.int32),
        "n_hashes": np.empty(0, dtype=np.uint8),
        "bits": np.empty(0, dtype=np.uint8),
    }
)
"""No filters of nobody."""
