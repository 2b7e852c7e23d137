"""The traits of films that re-ranking reads beside their scores: vectors, groups of rules, quotas."""

import numpy as np

from models.dataset import Dataset, Floats, Ints, Mask
from models.rerank.config import QuotaConfig, RerankConfig, RulesConfig
from models.rerank.greedy import Traits
from models.unit_length import of_unit_length

DECADE = 10
"""Years in a decade."""

FRESH = 0
"""Column of fresh items among those that serve quotas."""


def traits_of(config: RerankConfig, log: Dataset, vectors: Floats | None) -> Traits:
    """The traits of the items of a log; ``vectors`` (I, D) are learned ones, None where there are none."""
    genres = _genres(log)
    groups, limits = _groups(config.rules, log)
    return Traits(
        _similar_by(config, genres, vectors), groups, limits, _serves(config.quotas, log), _per_genre(genres)
    )


def _genres(log: Dataset) -> Floats:
    """(I, H) 1 for each genre of an item; no columns where items have none."""
    if "genres" not in log.items:
        return np.zeros((log.n_items, 0), dtype=np.float32)
    return log.items["genres"].astype(np.float32)


def _per_genre(genres: Floats) -> Floats:
    """Each genre of an item counts alike, all together 1 (Steck 2018)."""
    each: Floats = genres / np.maximum(genres.sum(axis=1, keepdims=True), 1)
    return each


def _similar_by(config: RerankConfig, genres: Floats, vectors: Floats | None) -> Floats:
    """Vectors whose inner products are the similarities: for a blend both, weighted, side by side."""
    if config.similarity == "genre" or vectors is None:
        return of_unit_length(genres)
    if config.similarity == "two_tower":
        return of_unit_length(vectors)
    weight = config.genre_weight
    return np.hstack(
        [np.sqrt(weight) * of_unit_length(genres), np.sqrt(1 - weight) * of_unit_length(vectors)]
    ).astype(np.float32)


def _groups(config: RulesConfig, log: Dataset) -> tuple[Ints, Ints]:
    """(I, K) numbers of the groups that an item is in, padded with -1, and (G,) the limit of each group."""
    columns, limits = [np.empty((log.n_items, 0), dtype=np.int32)], [np.empty(0, dtype=np.int32)]
    for codes, limit in (
        (_listed(_genres(log) > 0), config.genre),
        (_codes(log, "franchise"), config.franchise),
        (_decades(log), config.decade),
    ):
        if limit is not None:
            before = sum(map(len, limits))
            columns.append(np.where(codes >= 0, codes + before, -1).astype(np.int32))
            limits.append(np.full(int(codes.max(initial=-1)) + 1, limit, dtype=np.int32))
    return np.hstack(columns), np.concatenate(limits)


def _listed(member: Mask) -> Ints:
    """(I, K) the numbers of the columns where a row is true, padded with -1 to the longest."""
    order = np.argsort(~member, axis=1, kind="stable")[:, : int(member.sum(axis=1).max(initial=0))]
    return np.where(np.take_along_axis(member, order, axis=1), order, -1).astype(np.int32)


def _codes(log: Dataset, attribute: str) -> Ints:
    """(I, 1) a code an item; -1 where it has none."""
    none = np.full(log.n_items, -1, dtype=np.int32)
    return log.items.get(attribute, none)[:, None].astype(np.int32)


def _decades(log: Dataset) -> Ints:
    """(I, 1) the decade of an item from the first one on; -1 where its year is unknown."""
    decade = np.where((year := _codes(log, "year")) >= 0, year // DECADE, -1)
    first = decade[decade >= 0].min(initial=np.iinfo(np.int32).max)
    return np.where(decade >= 0, decade - first, -1).astype(np.int32)


def _serves(config: QuotaConfig, log: Dataset) -> Mask:
    """(I, 2) whether an item is fresh, and whether it is of the long tail."""
    count = np.bincount(log.item_idx, minlength=log.n_items)
    fresh = (_codes(log, "year")[:, 0] >= log.year - config.fresh_years) | (count < config.fresh_ratings)
    return np.stack([fresh, _long_tail(log, config)], axis=1)


def _long_tail(log: Dataset, config: QuotaConfig) -> Mask:
    """(I,) the items left when the most rated are taken that have the configured fraction of all ratings."""
    count = np.bincount(log.item_idx, minlength=log.n_items)
    order = np.argsort(-count, kind="stable")
    before = np.cumsum(count[order]) - count[order]
    tail = np.empty(log.n_items, dtype=np.bool_)
    tail[order] = before >= config.head * log.n_events
    return tail
