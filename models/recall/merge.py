"""Many channels' candidates into one list a query, with provenance.

Every candidate has two features a channel: its score there, scaled to [0, 1] within the list, and the
discount of its rank, 1 / log2(1 + rank); both are 0 where the channel did not bring it. The merged score is
their weighted sum. The weights are those of a conditional logit (McFadden 1974): the likelihood that, of all
candidates of a query, its targets are chosen,

    maximize  sum over queries q, targets t of q:  s(q, t) - log sum over candidates i of q: exp s(q, i)

with s = w . f and w >= 0, so that no channel counts against its own candidates: convex, one optimum.
Whoever is left with fewer than n items gets the rest from one order of all items.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.optimize import minimize

from models.dataset import Dataset, Floats, Ints, Longs, Queries
from models.recall.contract import Candidates
from models.recall.popular import PopularConfig, decayed_popularity

MAX_QUERIES = 4_000
"""Queries that the weights are fitted on, spread evenly over all: two numbers a channel need no more."""

PENALTY = 1e-3
"""Of the squared weights, per query: decides between channels that bring the same."""


@dataclass(frozen=True)
class Merged:
    """The merged list and who recalled what: bit c of ``channels`` stands for the c-th channel."""

    candidates: Candidates
    channels: Longs  # (B, n)


def fit_weights(
    channels: Mapping[str, Candidates], queries: Queries, target_indptr: Longs, target_item: Ints
) -> Floats:
    """(C, 2) weights of the scaled score and the rank discount of each channel.

    The targets of query b are ``target_item[target_indptr[b]:target_indptr[b + 1]]``; those that no channel
    brought teach nothing. Without any left, all weights are 1.
    """
    chosen = np.unique(np.linspace(0, len(queries) - 1, min(len(queries), MAX_QUERIES)).astype(np.int64))
    item, feature = _stacked(channels)
    pool = _pool(item[:, chosen], feature[:, chosen], queries.log.n_items)
    indptr, candidate, features = pool
    starts, ends = target_indptr[chosen], target_indptr[chosen + 1]
    wanted = _wanted(indptr, candidate, starts, ends, target_item)  # (T,) bool
    if not wanted.any():
        return np.ones((len(channels), 2), dtype=np.float32)

    def loss(weight: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, gradient = _negative_log_likelihood(weight, indptr, features, wanted)
        n = len(chosen)
        return value / n + PENALTY * weight @ weight, gradient / n + 2 * PENALTY * weight

    start = np.ones(features.shape[1])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start))
    return np.asarray(best.x, dtype=np.float32).reshape(len(channels), 2)


def merge(
    channels: Mapping[str, Candidates], weights: Floats, queries: Queries, order: Ints, n: int
) -> Merged:
    """The n best of all channels (at most 63), filled up from ``order`` (I,), never with a seen item.

    ``weights`` (C, 2) as fitted. Items that only ``order`` brings have score 0 and no channel.
    """
    item, feature = _stacked(channels)
    arguments = queries.start, queries.end, queries.log.item_idx, order.astype(np.int32)
    fused = _merge(item, feature, np.ascontiguousarray(weights), *arguments, n)
    return Merged(Candidates(fused[0], fused[1]), fused[2])


def newcomers_from(
    channels: Mapping[str, Candidates], newcomers: str, queries: Queries
) -> dict[str, Candidates]:
    """The channels, all but one silent where the history is empty: newcomers get that channel's list."""
    known = (queries.end > queries.start)[:, None]
    return {
        name: brought
        if name == newcomers
        else Candidates(np.where(known, brought.item, -1), np.where(known, brought.score, -np.inf))
        for name, brought in channels.items()
    }


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


def _stacked(channels: Mapping[str, Candidates]) -> tuple[Ints, Floats]:
    """Items (C, B, n) and features (C, B, n, 2) of all channels, padded to the longest list."""
    width = max(channel.n for channel in channels.values())
    item, feature = zip(*(_padded(channel, width) for channel in channels.values()), strict=True)
    return np.stack(item), np.stack(feature)


def _padded(candidates: Candidates, width: int) -> tuple[Ints, Floats]:
    score = np.where(candidates.item >= 0, candidates.score, np.nan)
    high = np.nanmax(score, axis=1, initial=-np.inf, keepdims=True)
    low = np.nanmin(score, axis=1, initial=np.inf, keepdims=True)
    # One candidate, or equal scores: all are the best.
    scaled = np.where(high > low, (score - low) / np.maximum(high - low, 1e-12), 1.0)
    discount = np.broadcast_to(1 / np.log2(2 + np.arange(candidates.n)), score.shape)
    feature = np.nan_to_num(np.stack([scaled, discount], axis=-1)).astype(np.float32)  # (B, n, 2)
    missing = width - candidates.n
    item = np.pad(candidates.item, ((0, 0), (0, missing)), constant_values=-1)
    return item, np.pad(feature, ((0, 0), (0, missing), (0, 0)))


@njit(cache=True)
def _pool(item: Ints, feature: Floats, n_items: int) -> tuple[Longs, Ints, Floats]:
    """The distinct candidates of each query, indptr (B + 1,) and item (T,), with all features (T, 2 C)."""
    n_channels, rows, width = item.shape
    place_of = np.full(n_items, -1, dtype=np.int64)
    indptr = np.zeros(rows + 1, dtype=np.int64)
    size = 0
    for row in range(rows):
        begin = size
        for channel in range(n_channels):
            for place in range(width):
                candidate = item[channel, row, place]
                if candidate >= 0 and place_of[candidate] < begin:
                    place_of[candidate] = size
                    size += 1
        indptr[row + 1] = size
    place_of[:] = -1
    candidates = np.empty(size, dtype=np.int32)
    features = np.zeros((size, 2 * n_channels), dtype=np.float32)
    for row in range(rows):
        size = indptr[row]
        for channel in range(n_channels):
            for place in range(width):
                candidate = item[channel, row, place]
                if candidate < 0:
                    continue
                if place_of[candidate] < indptr[row]:
                    place_of[candidate] = size
                    candidates[size] = candidate
                    size += 1
                features[place_of[candidate], 2 * channel : 2 * channel + 2] = feature[channel, row, place]
    return indptr, candidates, features


@njit(cache=True)
def _wanted(indptr: Longs, candidate: Ints, start: Longs, end: Longs, target: Ints) -> NDArray[np.bool_]:
    wanted = np.zeros(len(candidate), dtype=np.bool_)
    for row in range(len(indptr) - 1):
        for place in range(indptr[row], indptr[row + 1]):
            for answer in range(start[row], end[row]):
                wanted[place] |= candidate[place] == target[answer]
    return wanted


@njit(cache=True)
def _negative_log_likelihood(
    weight: NDArray[np.float64], indptr: Longs, features: Floats, wanted: NDArray[np.bool_]
) -> tuple[float, NDArray[np.float64]]:
    """Summed over all targets, and its gradient."""
    value = 0.0
    gradient = np.zeros_like(weight)
    for row in range(len(indptr) - 1):
        begin, end = indptr[row], indptr[row + 1]
        hits = wanted[begin:end].sum()
        if hits == 0:
            continue
        part = features[begin:end]
        score = np.zeros(end - begin)
        for place in range(end - begin):
            for column in range(len(weight)):
                score[place] += weight[column] * part[place, column]
        top = score.max()
        likelihood = np.exp(score - top)
        total = likelihood.sum()
        value += hits * (np.log(total) + top)
        for place in range(end - begin):
            share = hits * likelihood[place] / total
            if wanted[begin + place]:
                value -= score[place]
                share -= 1.0
            for column in range(len(weight)):
                gradient[column] += share * part[place, column]
    return value, gradient


@njit(parallel=True, cache=True)
def _merge(
    item: Ints,
    feature: Floats,
    weight: Floats,
    start: Longs,
    end: Longs,
    log_item: Ints,
    order: Ints,
    n: int,
) -> tuple[Ints, Floats, Longs]:
    n_channels, rows, width = item.shape
    merged = np.full((rows, n), -1, dtype=np.int32)
    best = np.full((rows, n), -np.inf, dtype=np.float32)
    origin = np.zeros((rows, n), dtype=np.int64)
    for row in prange(rows):
        score = np.zeros(len(order), dtype=np.float32)
        bits = np.zeros(len(order), dtype=np.int64)
        for channel in range(n_channels):
            for place in range(width):
                candidate = item[channel, row, place]
                if candidate >= 0:
                    scaled, discount = feature[channel, row, place]
                    score[candidate] += weight[channel, 0] * scaled + weight[channel, 1] * discount
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
