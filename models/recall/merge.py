"""Many channels' candidates into one list a user, with provenance.

Weighted reciprocal rank fusion (Cormack, Clarke and Buettcher 2009): score(i) = sum over channels c of
w_c / (60 + rank_c(i)). Ranks, unlike scores, mean the same in every channel. Whoever is left with fewer
than n items gets the rest from one order of all items, so that every list is full.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from models.dataset import Dataset, Floats, Ints, Longs, Queries
from models.recall.contract import Candidates
from models.recall.popular import PopularConfig, decayed_popularity

SMOOTHING = 60.0
"""Ranks added before inverting, as in the paper: the head of a list does not outweigh agreement."""


@dataclass(frozen=True)
class Merged:
    """The merged list and who recalled what: bit c of ``channels`` stands for the c-th channel."""

    candidates: Candidates
    channels: Longs  # (B, n)


def merge(
    channels: Mapping[str, Candidates], weights: Mapping[str, float], queries: Queries, order: Ints, n: int
) -> Merged:
    """Fuse the channels (at most 63), then fill up from ``order`` (I,), never with an item of the history.

    Items that only ``order`` brings have score 0 and no channel.
    """
    width = max(c.n for c in channels.values())
    item = np.stack([_padded(c.item, width) for c in channels.values()])  # (C, B, width)
    weight = np.array([weights[name] for name in channels], dtype=np.float32)  # (C,)
    log_item = queries.log.item_idx
    fused = _merge(item, weight, queries.start, queries.end, log_item, order.astype(np.int32), n)
    return Merged(Candidates(fused[0], fused[1]), fused[2])


def fallback_order(dataset: Dataset) -> Ints:
    """All items (I,), the most popular of late first, those without any rating last, ties by index."""
    popularity = decayed_popularity(dataset, PopularConfig().half_life)
    return np.argsort(-popularity, kind="stable").astype(np.int32)


def names(channels: list[str], bits: Longs) -> NDArray[np.object_]:
    """The list of channel names that each bit mask stands for, one object a mask."""
    masks, inverse = np.unique(bits, return_inverse=True)
    lists = np.empty(len(masks), dtype=object)
    for position, mask in enumerate(masks):
        lists[position] = [name for bit, name in enumerate(channels) if mask >> bit & 1]
    return np.asarray(lists[inverse], dtype=object)


def _padded(item: Ints, width: int) -> Ints:
    return np.pad(item, ((0, 0), (0, width - item.shape[1])), constant_values=-1)


@njit(parallel=True, cache=True)
def _merge(
    item: Ints, weight: Floats, start: Longs, end: Longs, log_item: Ints, order: Ints, n: int
) -> tuple[Ints, Floats, Longs]:
    n_channels, rows, width = item.shape
    n_items = len(order)
    merged = np.full((rows, n), -1, dtype=np.int32)
    best = np.full((rows, n), -np.inf, dtype=np.float32)
    origin = np.zeros((rows, n), dtype=np.int64)
    for row in prange(rows):
        score = np.zeros(n_items, dtype=np.float32)
        bits = np.zeros(n_items, dtype=np.int64)
        for channel in range(n_channels):
            for place in range(width):
                candidate = item[channel, row, place]
                if candidate >= 0:
                    score[candidate] += weight[channel] / (SMOOTHING + 1 + place)
                    bits[candidate] |= 1 << channel
        for event in range(start[row], end[row]):
            bits[log_item[event]] = -1
        found = np.flatnonzero(bits > 0)
        # A stable sort of ascending items: ties go to the smaller index.
        ranked = found[np.argsort(-score[found], kind="mergesort")][:n]
        size = len(ranked)
        merged[row, :size] = ranked
        best[row, :size] = score[ranked]
        origin[row, :size] = bits[ranked]
        for candidate in order:
            if size == n:
                break
            if bits[candidate] == 0:
                merged[row, size], best[row, size] = candidate, 0.0
                size += 1
    return merged, best, origin
