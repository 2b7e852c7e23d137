"""Many channels' candidates into one list a query, with provenance.

Every candidate has three features a channel: its score in the channel's list, scaled to [0, 1] within it; its
rank, as a number that falls from 1 for the first to 1 / n for the n-th; and 1 for being listed at all. All
are 0 where the channel did not recall it. The merged score is their weighted sum. The weights are those of a
conditional logit (McFadden 1974): the likelihood that, of all candidates of a query, its targets are chosen,

    maximize  sum over queries q, targets t of q:  s(q, t) - log sum over candidates i of q: exp s(q, i)

with s = w . f and w > 0, so that no channel counts against its own candidates: convex, one optimum.
A list of fewer than n items is filled up from one order of all items. What a user was shown and did not watch
loses score, or is filtered, as is what the user blocked: both come back, the latter last, only where a list
would else be shorter than it must be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit, prange
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from models.block_list import Barred, BlockList, is_barred, nothing_barred
from models.bloom import NOTHING, BloomFilters, holds
from models.bounds import BelowOne
from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Mask, Queries
from models.exposures import Shown
from models.recall.popular import PopularConfig, decayed_popularity
from models.sampling import spread
from models.top_n import best_first, offer

CANDIDATE_FEATURES = ("score", "rank", "presence")
"""Features that each channel gives a candidate that it recalls."""

MAX_CHANNELS = 63
"""The channels of a candidate are a bit mask of 64 signed bits."""


class MergeConfig(Config):
    """The merge of the channels' candidates into one list."""

    method: Literal["fitted", "equal"] = "fitted"
    """Weights of the channels' features: fitted on the holdout by conditional logit, or all equal."""
    max_queries: PositiveInt = 4_000
    """Queries that the weights are fitted on, spread evenly: three numbers a channel need no more."""
    l2: NonNegativeFloat = 1e-3
    """Penalty of the squared weights, per query: decides between channels that recall the same."""
    min_weight: PositiveFloat = 1e-3
    """Smallest weight: where only channels of no other use recall anything, their order still holds."""
    ema_decay: BelowOne = 0.0
    """Weight of the release before in the weights of a warm run: 0 forgets it."""
    newcomers: str = "first_session"
    """Channel that alone answers for newcomers; without it, what is popular does."""
    newcomers_until: PositiveInt = 10
    """Ratings with which a user is a newcomer no more, and all channels and the ranker answer, objective
    daily; fewer where the holdout tells that all channels are better from there on. Of other objectives a
    newcomer is a user without any rating."""


BLOCK = 512
"""Queries merged at once: 14 channels' 300 candidates of a block take 70 MB."""

ROWS = 64
"""Queries that share a scratch row of all items, which is cleared where they changed it."""


@dataclass(frozen=True)
class Merged:
    """The merged list and which channels recalled each item: bit c of ``channels`` stands for the c-th."""

    candidates: Candidates
    channels: Longs  # (B, n)


@dataclass(frozen=True)
class FittedMerge:
    """Weights and bounds that the merge learned on the holdout."""

    weights: Floats  # (C, F)
    newcomers_until: int | None = None
    """Ratings from which on all channels are better than the one for newcomers; None if that is not sure."""


def fit_weights(
    channels: Mapping[str, Candidates],
    queries: Queries,
    target_indptr: Longs,
    target_item: Ints,
    config: MergeConfig = MergeConfig(),
    among: Longs | None = None,
) -> Floats:
    """(C, F) weights of each channel's features, in the order of CANDIDATE_FEATURES.

    They are fitted on the queries of the numbers ``among``, or on all.

    The targets of query b are ``target_item[target_indptr[b]:target_indptr[b + 1]]``; those that no channel
    recalled are left out. Without any left, all weights are 1.
    """
    if config.method == "equal":
        return equal_weights(len(channels))
    among = np.arange(len(queries)) if among is None else among
    chosen = among[spread(len(among), config.max_queries)]
    item, feature = _stacked(channels, chosen)
    start, end = target_indptr[chosen], target_indptr[chosen + 1]
    slot, size, target_slot = _slots(item, start, end, target_item, queries.log.n_items)
    if (target_slot < 0).all():
        return equal_weights(len(channels))

    def loss(flat: Doubles) -> tuple[float, Doubles]:
        weight = flat.reshape(-1, len(CANDIDATE_FEATURES))
        value, gradient = _negative_log_likelihood(weight, slot, feature, size, start, end, target_slot)
        n = len(chosen)
        slope = gradient.sum(axis=0).ravel() / n + 2 * config.l2 * flat
        return value.sum() / n + config.l2 * flat @ flat, slope

    from scipy.optimize import minimize  # 0.3 s, for fits alone

    ones = np.ones(len(CANDIDATE_FEATURES) * len(channels))
    best = minimize(loss, ones, jac=True, method="L-BFGS-B", bounds=[(config.min_weight, None)] * len(ones))
    return np.asarray(best.x, dtype=np.float32).reshape(-1, len(CANDIDATE_FEATURES))


def remembered(fitted: Floats, before: Floats, decay: float) -> Floats:
    """(C, F) fitted weights, averaged with those of the release before; NaN in ``before`` where it has none.

    An exponential moving average over releases: no day's holdout alone turns lists over.
    """
    average: Floats = (1 - decay) * fitted + decay * before
    return np.where(np.isnan(before), fitted, average).astype(np.float32)


def equal_weights(n_channels: int) -> Floats:
    """(C, F) weights of 1, for a log of which nothing could be held back to fit them on."""
    return np.ones((n_channels, len(CANDIDATE_FEATURES)), dtype=np.float32)


def merge(
    channels: Mapping[str, Candidates],
    weights: Floats,
    queries: Queries,
    order: Ints,
    n: int,
    shown: Shown | None = None,
    n_least: int = 0,
    blocked: BlockList | None = None,
    only: Mask | None = None,
) -> Merged:
    """The n best of all channels (at most 63), filled up from ``order`` (I,), never with a seen item.

    ``weights`` (C, F) as fitted. Items that come from ``order`` alone have no channel and score 0, or that of
    the item before if it is lower. Items that are filtered by ``shown`` come last, from ``order``, and only
    where there are fewer than ``n_least`` others; after them, where there are fewer still, blocked ones.
    Of the channels' items ``only`` some (I,) may be candidates.
    """
    items = np.empty((len(queries), n), dtype=np.int32)
    scores = np.empty((len(queries), n), dtype=np.float32)
    bits = np.empty((len(queries), n), dtype=np.int64)
    order, n_items = order.astype(np.int32), queries.log.n_items
    filters, discount = (NOTHING, 0.0) if shown is None else (shown.filters, shown.discount)
    filter_of = filters.rows(queries.user_idx)
    allowed = np.ones(n_items, dtype=np.bool_) if only is None else only
    for begin in range(0, len(queries), BLOCK):
        block, rows = queries.rows(begin, begin + BLOCK), slice(begin, begin + BLOCK)
        item, feature = _stacked(channels, np.arange(begin, begin + len(block)))
        history = block.start, block.end, block.log.item_idx
        barred = nothing_barred(len(block), n_items) if blocked is None else blocked.barred(block)
        left_out = barred, filters, filter_of[rows], discount  # numba's loops take no tuple of tuples
        items[rows], scores[rows], bits[rows] = _best(item, feature, weights, history, *left_out, allowed, n)
        _fill(items[rows], scores[rows], order, history, *left_out, n_least)
    return Merged(Candidates(items, scores), bits)


def first(listed: Merged, n: int) -> Merged:
    """The lists cut to n."""
    item, score = listed.candidates.item[:, :n], listed.candidates.score[:, :n]
    return Merged(Candidates(item, score), listed.channels[:, :n])


def first_among(listed: Merged, only: Mask, n: int, beyond: int = 0) -> Merged:
    """The first n of some items (I,) in each list beyond a position, in its order, padded to n."""
    item = listed.candidates.item
    chosen = (item >= 0) & only[item] & (np.arange(item.shape[1]) >= beyond)
    column = np.argsort(~chosen, axis=1, kind="stable")[:, :n]
    return _columns(listed, column, np.take_along_axis(chosen, column, axis=1))


def with_least(listed: Merged, reserve: Merged, only: Mask, n_least: int, beyond: int = 0) -> Merged:
    """Lists of equal length with at least ``n_least`` of some items (I,) beyond a position.

    That is as far as the reserve (B, r) goes, which has none but such items, in the order in which the lists
    would go on. They come last, in place of the last ones that are no such items.
    """
    item, further = listed.candidates.item, reserve.candidates.item
    is_one = (item >= 0) & only[item]
    new = (further >= 0) & ~(further[:, :, None] == item[:, None, :]).any(axis=2)
    new &= np.cumsum(new, axis=1) <= np.maximum(n_least - is_one[:, beyond:].sum(axis=1, keepdims=True), 0)
    others_from_here = np.cumsum(~is_one[:, ::-1], axis=1)[:, ::-1]
    stays = is_one | (others_from_here > new.sum(axis=1, keepdims=True))
    both = Merged(
        Candidates(
            np.hstack([item, further]), np.hstack([listed.candidates.score, reserve.candidates.score])
        ),
        np.hstack([listed.channels, reserve.channels]),
    )
    used = np.hstack([stays, new])
    column = np.argsort(~used, axis=1, kind="stable")[:, : item.shape[1]]
    return _columns(both, column, np.take_along_axis(used, column, axis=1))


def last(listed: Merged, is_last: Mask) -> Merged:
    """The lists with some of their items (B, n) after all others, each part in its order."""
    column = np.argsort(is_last, axis=1, kind="stable")
    return _columns(listed, column, np.ones(column.shape, dtype=bool))


def _columns(listed: Merged, column: Longs, used: Mask) -> Merged:
    """Columns (B, n) of lists, padding where they are not used."""
    item, score, bits = (
        np.take_along_axis(values, column, axis=1)
        for values in (listed.candidates.item, listed.candidates.score, listed.channels)
    )
    found = Candidates(np.where(used, item, np.int32(-1)), np.where(used, score, np.float32(-np.inf)))
    return Merged(found, np.where(used, bits, 0))


def newcomers_from(
    channels: Mapping[str, Candidates], newcomers: str, queries: Queries, least: int = 1
) -> dict[str, Candidates]:
    """The channels, all but one emptied where the history has fewer events than ``least``.

    Only channels that have something for newcomers are copied.
    """
    rows = np.flatnonzero(queries.with_fewer_than(least))
    return {
        name: recalled if name == newcomers else _emptied(recalled, rows)
        for name, recalled in channels.items()
    }


def _emptied(recalled: Candidates, rows: Longs) -> Candidates:
    if (recalled.item[rows] < 0).all():
        return recalled
    item, score = recalled.item.copy(), recalled.score.copy()
    item[rows], score[rows] = -1, -np.inf
    return Candidates(item, score)


def fallback_order(dataset: Dataset) -> Ints:
    """All items (I,), the most popular of late first, those without any rating last, ties by index."""
    popularity = decayed_popularity(dataset, PopularConfig().half_life)
    return np.argsort(-popularity, kind="stable").astype(np.int32)


def contributions(channels: Mapping[str, Candidates], weights: Floats, item: Ints, n_items: int) -> Floats:
    """(B, n, C) the parts of the merged score of each item (B, n) that the channels give; they add up to it.

    0 of a channel that did not recall the item, and for padding.
    """
    found = np.empty((*item.shape, len(channels)), dtype=np.float32)
    for begin in range(0, len(item), BLOCK):
        rows = np.arange(begin, min(begin + BLOCK, len(item)))
        found[rows] = _contributions(item[rows], *_stacked(channels, rows), weights, n_items)
    return found


def _stacked(channels: Mapping[str, Candidates], rows: Longs) -> tuple[Ints, Floats]:
    """Items (C, b, n) and features (C, b, n, F) of some queries, padded to the longest list."""
    width = max(channel.n for channel in channels.values())
    item = np.full((len(channels), len(rows), width), -1, dtype=np.int32)
    feature = np.zeros((*item.shape, len(CANDIDATE_FEATURES)), dtype=np.float32)
    for number, channel in enumerate(channels.values()):
        recalled = channel.take(rows)
        item[number, :, : channel.n] = recalled.item
        feature[number, :, : channel.n] = _features(recalled)
    return item, feature


def _features(candidates: Candidates) -> Floats:
    """(b, n, F), 0 for padding."""
    listed, score = candidates.item >= 0, candidates.score
    high = np.max(score, axis=1, where=listed, initial=-np.inf, keepdims=True)
    low = np.min(score, axis=1, where=listed, initial=np.inf, keepdims=True)
    # One candidate, or equal scores: all are the best.
    scaled = np.divide(score - low, high - low, where=listed & (high > low), out=listed.astype(np.float32))
    rank = listed * (1 - np.arange(candidates.n, dtype=np.float32) / candidates.n)
    return np.stack([scaled, rank, listed], axis=-1)


@njit(parallel=True, cache=True)
def _slots(item: Ints, start: Longs, end: Longs, target: Ints, n_items: int) -> tuple[Ints, Ints, Ints]:
    """Numbers the distinct candidates of each query from 0: (C, b, n), how many, and those of the targets.

    -1 for padding and for a target, (T,), that is no candidate or not of these queries.
    """
    n_channels, rows, width = item.shape
    slot = np.full(item.shape, -1, dtype=np.int32)
    size = np.zeros(rows, dtype=np.int32)
    target_slot = np.full(len(target), -1, dtype=np.int32)
    for chunk in prange((rows + ROWS - 1) // ROWS):
        number = np.full(n_items, -1, dtype=np.int32)
        for row in range(chunk * ROWS, min((chunk + 1) * ROWS, rows)):
            for channel in range(n_channels):
                for rank0 in range(width):
                    candidate = item[channel, row, rank0]
                    if candidate < 0:
                        continue
                    if number[candidate] < 0:
                        number[candidate] = size[row]
                        size[row] += 1
                    slot[channel, row, rank0] = number[candidate]
            for t in range(start[row], end[row]):
                target_slot[t] = number[target[t]]
            for candidate in item[:, row].ravel():
                if candidate >= 0:
                    number[candidate] = -1
    return slot, size, target_slot


@njit(parallel=True, cache=True)
def _negative_log_likelihood(
    weight: Doubles, slot: Ints, feature: Floats, size: Ints, start: Longs, end: Longs, target_slot: Ints
) -> tuple[Doubles, Doubles]:
    """(b,) summed over the targets of each query, and its gradient (b, C, F)."""
    n_channels, rows, width = slot.shape
    value = np.zeros(rows)
    gradient = np.zeros((rows, n_channels, weight.shape[1]))
    for row in prange(rows):
        chosen = target_slot[start[row] : end[row]]
        chosen = chosen[chosen >= 0]
        if len(chosen) == 0:
            continue
        score = np.zeros(size[row])
        for channel in range(n_channels):
            for rank0 in range(width):
                if slot[channel, row, rank0] >= 0:
                    for f in range(weight.shape[1]):
                        score[slot[channel, row, rank0]] += (
                            weight[channel, f] * feature[channel, row, rank0, f]
                        )
        top = score.max()
        chance = np.exp(score - top)
        total = chance.sum()
        value[row] = len(chosen) * (np.log(total) + top) - score[chosen].sum()
        chance *= len(chosen) / total
        for target in chosen:
            chance[target] -= 1.0
        for channel in range(n_channels):
            for rank0 in range(width):
                if slot[channel, row, rank0] >= 0:
                    excess = chance[slot[channel, row, rank0]]
                    for f in range(weight.shape[1]):
                        gradient[row, channel, f] += excess * feature[channel, row, rank0, f]
    return value, gradient


@njit(parallel=True, cache=True)
def _best(
    item: Ints,
    feature: Floats,
    weight: Floats,
    history: tuple[Longs, Longs, Ints],
    barred: Barred,
    filters: BloomFilters,
    filter_of: Ints,
    discount: float,
    allowed: Mask,
    n: int,
) -> tuple[Ints, Floats, Longs]:
    """(b, n) the best unseen candidates, their merged scores, and a bit for each of their channels.

    The discount is that of what the filter of a query (b,), -1 for none, holds.
    """
    n_channels, rows, width = item.shape
    start, end, log_item = history
    items = np.full((rows, n), -1, dtype=np.int32)
    scores = np.full((rows, n), -np.inf, dtype=np.float32)
    bits = np.zeros((rows, n), dtype=np.int64)
    for chunk in prange((rows + ROWS - 1) // ROWS):
        score = np.full(len(allowed), -np.inf, dtype=np.float32)
        recalled_by = np.zeros(len(allowed), dtype=np.int64)
        reached = np.empty(n_channels * width, dtype=np.int32)
        for row in range(chunk * ROWS, min((chunk + 1) * ROWS, rows)):
            n_reached = 0
            for channel in range(n_channels):
                for rank0 in range(width):
                    candidate = item[channel, row, rank0]
                    if candidate < 0 or not allowed[candidate]:
                        continue
                    if recalled_by[candidate] == 0:
                        reached[n_reached], score[candidate] = candidate, 0
                        n_reached += 1
                    recalled_by[candidate] |= 1 << channel
                    for f in range(weight.shape[1]):
                        score[candidate] += weight[channel, f] * feature[channel, row, rank0, f]
            for event in range(start[row], end[row]):
                score[log_item[event]] = -np.inf
            size = 0
            for candidate in reached[:n_reached]:
                if filter_of[row] >= 0 and holds(filters, filter_of[row], candidate):
                    score[candidate] -= np.float32(discount)
                if score[candidate] > -np.inf and not is_barred(barred, row, candidate):
                    size = offer(score[candidate], candidate, items[row], scores[row], size)
            best_first(items[row], scores[row], size)
            for rank0 in range(size):
                bits[row, rank0] = recalled_by[items[row, rank0]]
            for candidate in reached[:n_reached]:
                score[candidate], recalled_by[candidate] = -np.inf, 0
    return items, scores, bits


@njit(parallel=True, cache=True)
def _contributions(wanted: Ints, item: Ints, feature: Floats, weight: Floats, n_items: int) -> Floats:
    n_channels, rows, width = item.shape
    found = np.zeros((rows, wanted.shape[1], n_channels), dtype=np.float32)
    for chunk in prange((rows + ROWS - 1) // ROWS):
        rank0_of = np.full(n_items, -1, dtype=np.int32)
        for row in range(chunk * ROWS, min((chunk + 1) * ROWS, rows)):
            for rank0 in range(wanted.shape[1]):
                if wanted[row, rank0] >= 0:
                    rank0_of[wanted[row, rank0]] = rank0
            for channel in range(n_channels):
                for listed in range(width):
                    candidate = item[channel, row, listed]
                    if candidate >= 0 and rank0_of[candidate] >= 0:
                        for f in range(weight.shape[1]):
                            found[row, rank0_of[candidate], channel] += (
                                weight[channel, f] * feature[channel, row, listed, f]
                            )
            for candidate in wanted[row]:
                if candidate >= 0:
                    rank0_of[candidate] = -1
    return found


@njit(parallel=True, cache=True)
def _fill(
    merged: Ints,
    score: Floats,
    order: Ints,
    history: tuple[Longs, Longs, Ints],
    barred: Barred,
    filters: BloomFilters,
    filter_of: Ints,
    discount: float,
    n_least: int,
) -> None:
    """Overwrite padding by the first items of the order that are neither listed nor seen, at score 0 or less.

    Those that are filtered are left to a second round, those that are blocked to a third one: both end at
    ``n_least``.
    """
    rows, n = merged.shape
    start, end, log_item = history
    for chunk in prange((rows + ROWS - 1) // ROWS):
        taken_by = np.full(len(order), -1, dtype=np.int32)  # the newest row
        for row in range(chunk * ROWS, min((chunk + 1) * ROWS, rows)):
            size = np.count_nonzero(merged[row] >= 0)
            if size == n:
                continue
            for rank0 in range(size):
                taken_by[merged[row, rank0]] = row
            for event in range(start[row], end[row]):
                taken_by[log_item[event]] = row
            value = min(np.float32(0), score[row, size - 1]) if size else np.float32(0)
            is_filtered = filter_of[row] >= 0 and discount == np.inf
            for again in range(3):
                wanted = min(n, n_least) if again else n
                for candidate in order:
                    if size >= wanted:
                        break
                    if taken_by[candidate] == row:
                        continue
                    if again < 1 and is_filtered and holds(filters, filter_of[row], candidate):
                        continue
                    if again < 2 and is_barred(barred, row, candidate):
                        continue
                    taken_by[candidate] = row
                    merged[row, size], score[row, size] = candidate, value
                    size += 1
