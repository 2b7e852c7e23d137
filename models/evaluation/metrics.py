"""Metrics of ranked lists and of predicted probabilities.

All accuracy metrics at k are functions of one small array: where in its query's list each target stands
(:func:`target_ranks`). They return one value a query, (B,) float64, so that means, slices, intervals and
paired differences are all taken from the same values. k is a number of list places, at least 1.
"""

from collections.abc import Callable

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from models.candidates import Candidates
from models.dataset import Dataset, Floats, Ints, Longs, Mask, first_ratings
from models.targets import Targets

Values = NDArray[np.float64]

ABSENT = np.iinfo(np.int32).max
"""The rank of a target that is not in the list."""


def target_ranks(candidates: Candidates, targets: Targets) -> Ints:
    """(T,) the 0-based place of each target in the list of its query; ABSENT where it is not listed."""
    return _target_ranks(candidates.item, targets.indptr, targets.item)


@njit(parallel=True, cache=True)
def _target_ranks(item: Ints, indptr: Longs, target: Ints) -> Ints:
    ranks = np.full(len(target), ABSENT, dtype=np.int32)
    for query in prange(len(item)):
        for place in range(indptr[query], indptr[query + 1]):
            for rank in range(item.shape[1]):
                if item[query, rank] == target[place]:
                    ranks[place] = rank
                    break
    return ranks


def hit_rate(ranks: Ints, targets: Targets, k: int) -> Values:
    """HR@k: 1 if any target is among the first k, else 0."""
    return (_first(ranks, targets) < k).astype(np.float64)


def recall(ranks: Ints, targets: Targets, k: int) -> Values:
    """Recall@k: the share of the targets that is among the first k."""
    return hits(ranks, targets, k) / targets.count


def precision(ranks: Ints, targets: Targets, k: int) -> Values:
    """Precision@k: the share of the k places that holds a target."""
    return hits(ranks, targets, k) / k


def reciprocal_rank(ranks: Ints, targets: Targets, k: int) -> Values:
    """MRR@k: 1 / place (from 1) of the first target, 0 if that is beyond k (Voorhees 1999)."""
    first = _first(ranks, targets)
    return np.where(first < k, 1.0 / (first + 1.0), 0.0)


def average_precision(ranks: Ints, targets: Targets, k: int) -> Values:
    """AP@k: the precision at the place of each target among the first k, summed, over all R targets.

    The divisor is R, not min(k, R), as in trec_eval and ranx.
    """
    query = targets.query
    order = np.lexsort((ranks, query))
    nth = np.arange(len(order)) - targets.indptr[query] + 1  # among the targets of its query, best first
    ranks = ranks[order]
    return _sum(np.where(ranks < k, nth / (ranks + 1.0), 0.0), targets) / targets.count


def ndcg(ranks: Ints, targets: Targets, k: int) -> Values:
    """NDCG@k with binary gains: sum of 1 / log2(place + 1), over that of min(k, R) leading targets.

    Järvelin and Kekäläinen 2002, https://doi.org/10.1145/582415.582418.
    """
    gains = np.where(ranks < k, 1.0 / np.log2(ranks + 2.0), 0.0)
    ideal = np.cumsum(1.0 / np.log2(np.arange(2.0, k + 2.0)))
    values: Values = _sum(gains, targets) / ideal[np.minimum(targets.count, k) - 1]
    return values


def mean_ndcg(candidates: Candidates, targets: Targets, k: int) -> float:
    """NDCG@k averaged over the queries: how lists are chosen between."""
    return float(ndcg(target_ranks(candidates, targets), targets, k).mean())


def hits(ranks: Ints, targets: Targets, k: int) -> Values:
    """How many targets are among the first k; pooled recall is their sum over that of the targets."""
    return _sum((ranks < k).astype(np.float64), targets)


def serendipity(ranks: Ints, targets: Targets, k: int, popularity_rank: Longs) -> Values:
    """Hits that popularity would have placed lower, weighted by how much lower, over the k places.

    ``1/k * sum over hits of max(0, P(place) - P(popularity rank))`` with ``P(place) = 1 - place / I`` for
    0-based places among I items; ``popularity_rank`` (I,) is :func:`popularity_ranks`. The primitive
    recommender of Murakami, Mori and Orihara 2007, https://doi.org/10.1007/978-3-540-78197-4_5.
    """
    lift = (popularity_rank[targets.item] - ranks.astype(np.int64)) / len(popularity_rank)
    return _sum(np.where(ranks < k, np.maximum(lift, 0.0), 0.0), targets) / k


ACCURACY: dict[str, Callable[[Ints, Targets, int], Values]] = {
    "hr": hit_rate,
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "mrr": reciprocal_rank,
    "map": average_precision,
}
"""The contract's names of the metrics that average one value a query."""


def _sum(values: Values, targets: Targets) -> Values:
    return np.add.reduceat(values, targets.indptr[:-1])


def _first(ranks: Ints, targets: Targets) -> Ints:
    return np.minimum.reduceat(ranks, targets.indptr[:-1])


def raters(log: Dataset) -> Longs:
    """(I,) how many users rated each item."""
    return np.bincount(log.item_idx[first_ratings(log)], minlength=log.n_items)


def popularity_ranks(log: Dataset) -> Longs:
    """(I,) the 0-based place of each item in the list of the most rated, ties by item index."""
    ranks = np.empty(log.n_items, dtype=np.int64)
    ranks[np.argsort(-raters(log), kind="stable")] = np.arange(log.n_items)
    return ranks


def self_information(log: Dataset) -> Values:
    """(I,) ``-log2(share of users who rated the item)`` in bits; an unrated item counts as rated once."""
    n_users = np.count_nonzero(np.diff(log.indptr))
    bits: Values = np.log2(max(n_users, 1) / np.maximum(raters(log), 1))
    return bits


def exposure(candidates: Candidates, k: int, n_items: int, among: Mask) -> Longs:
    """(I,) in how many lists each item is among the first k, of the lists in ``among`` (B,) bool."""
    return _exposure(candidates.item[:, :k], n_items, among)


@njit(cache=True)
def _exposure(item: Ints, n_items: int, among: Mask) -> Longs:
    shown = np.zeros(n_items, dtype=np.int64)
    for row in range(len(item)):
        if among[row]:
            for place in range(item.shape[1]):
                if item[row, place] >= 0:
                    shown[item[row, place]] += 1
    return shown


def coverage(exposure: Longs) -> float:
    """The share of all items that at least one list shows."""
    return float(np.count_nonzero(exposure) / len(exposure))


def gini(exposure: Longs) -> float:
    """Gini coefficient of exposure over all items: 0 all alike, near 1 all on one; nan without any.

    ``2 * sum(i * x_i) / (I * sum(x)) - (I + 1) / I`` with x ascending and i from 1.
    """
    x = np.sort(exposure)
    n, total = len(x), x.sum()
    if not total:
        return float("nan")
    return float(2.0 * (np.arange(1, n + 1) @ x) / (n * total) - (n + 1) / n)


def novelty(candidates: Candidates, k: int, information: Values) -> Values:
    """The mean self-information, (I,) bits, of the first k items; nan for an empty list.

    Zhou et al. 2010, https://doi.org/10.1073/pnas.1000488107.
    """
    return _mean_over_list(candidates.item[:, :k], information)


@njit(parallel=True, cache=True)
def _mean_over_list(item: Ints, value: Values) -> Values:
    means = np.full(len(item), np.nan)
    for row in prange(len(item)):
        total, n = 0.0, 0
        for place in range(item.shape[1]):
            if item[row, place] >= 0:
                total += value[item[row, place]]
                n += 1
        if n:
            means[row] = total / n
    return means


def intra_list_distance(candidates: Candidates, k: int, vectors: NDArray[np.generic]) -> Values:
    """ILD@k: mean of 1 - cosine over all pairs of the first k items; nan for fewer than two.

    ``vectors`` is (I, D): genres, or any item embedding. A zero vector is at distance 1 from all.
    Ziegler et al. 2005, https://doi.org/10.1145/1060745.1060754.
    """
    length = np.linalg.norm(vectors.astype(np.float32), axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros(vectors.shape, dtype=np.float32), where=length > 0)
    return _intra_list_distance(candidates.item[:, :k], unit)


@njit(parallel=True, cache=True)
def _intra_list_distance(item: Ints, unit: Floats) -> Values:
    """The cosines of all pairs are ``(|sum of v|^2 - sum of |v|^2) / 2``: no loop over pairs."""
    distance = np.full(len(item), np.nan)
    for row in prange(len(item)):
        total = np.zeros(unit.shape[1])
        squares, n = 0.0, 0
        for place in range(item.shape[1]):
            if item[row, place] < 0:
                continue
            n += 1
            for d in range(unit.shape[1]):
                x = np.float64(unit[item[row, place], d])
                total[d] += x
                squares += x * x
        if n >= 2:
            distance[row] = 1.0 - ((total * total).sum() - squares) / (n * (n - 1.0))
    return distance


def auc(label: NDArray[np.generic], score: NDArray[np.generic]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties count half.

    ``label`` (N,) of 0 and 1, ``score`` (N,); nan unless both classes occur.
    """
    return float(grouped_auc(label, score, np.zeros(len(label), dtype=np.int32))[0])


def gauc(label: NDArray[np.generic], score: NDArray[np.generic], user_idx: Ints) -> float:
    """AUC within each user, averaged by the user's rows over users with both classes; nan without any.

    Zhu et al. 2017, https://arxiv.org/abs/1703.02091.
    """
    values = grouped_auc(label, score, user_idx)
    defined = np.isfinite(values)
    if not defined.any():
        return float("nan")
    rows = np.unique(user_idx, return_counts=True)[1]
    return float(np.average(values[defined], weights=rows[defined]))


def grouped_auc(label: NDArray[np.generic], score: NDArray[np.generic], group: Ints) -> Values:
    """AUC of each distinct group, in ascending order of the group; nan where a class is missing.

    Mann-Whitney: ``(sum of the positives' mid-ranks - P (P + 1) / 2) / (P N)``.
    """
    order = np.lexsort((score, group))
    group, score, positive = group[order], score[order], label[order].astype(np.float64)
    new_group = np.append(True, group[1:] != group[:-1])
    new_tie = new_group | np.append(True, score[1:] != score[:-1])
    begin, tie = np.flatnonzero(new_group), np.flatnonzero(new_tie)
    tie_size = np.diff(np.append(tie, len(group)))
    middle = np.repeat(tie + (tie_size + 1) / 2, tie_size)  # 1-based mid-rank over all rows
    rank = middle - np.repeat(begin, np.diff(np.append(begin, len(group))))
    p = np.add.reduceat(positive, begin)
    n = np.diff(np.append(begin, len(group))) - p
    with np.errstate(invalid="ignore", divide="ignore"):
        area: Values = (np.add.reduceat(positive * rank, begin) - p * (p + 1) / 2) / (p * n)
    return area


def log_loss(label: NDArray[np.generic], probability: NDArray[np.generic]) -> Values:
    """(N,) ``-log`` of the probability given to what happened; probabilities are kept 1e-7 from 0 and 1."""
    p = np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7)
    return -np.where(label.astype(np.bool_), np.log(p), np.log1p(-p))
