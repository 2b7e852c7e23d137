"""Metrics of ranked lists and of predicted probabilities.

All accuracy metrics at k are functions of one small array: where in its query's list each target stands
(:func:`target_rank0`). They return one value a query, (B,) float64, so that means, slices, intervals and
paired differences are all taken from the same values. k is a list length of at least 1. A rank is 1-based, as
in papers; ``rank0`` counts from 0.
"""

from collections.abc import Callable

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from models.candidates import Candidates
from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Mask, first_ratings
from models.targets import Targets
from models.unit_length import of_unit_length

ABSENT = np.iinfo(np.int32).max
"""The rank0 of a target that is not in the list."""


def target_rank0(candidates: Candidates, targets: Targets) -> Ints:
    """(T,) the rank0 of each target in the list of its query; ABSENT where it is not listed."""
    return _target_rank0(candidates.item, targets.indptr, targets.item)


@njit(parallel=True, cache=True)
def _target_rank0(item: Ints, indptr: Longs, target: Ints) -> Ints:
    rank0 = np.full(len(target), ABSENT, dtype=np.int32)
    for query in prange(len(item)):
        for t in range(indptr[query], indptr[query + 1]):
            for position in range(item.shape[1]):
                if item[query, position] == target[t]:
                    rank0[t] = position
                    break
    return rank0


def hit_rate(rank0: Ints, targets: Targets, k: int) -> Doubles:
    """HR@k: 1 if any target is among the first k, else 0."""
    return (_first(rank0, targets) < k).astype(np.float64)


def recall(rank0: Ints, targets: Targets, k: int) -> Doubles:
    """Recall@k: the fraction of the targets that is among the first k."""
    return hits(rank0, targets, k) / targets.count


def capped_recall(rank0: Ints, targets: Targets, k: int) -> Doubles:
    """Capped recall@k: the fraction found of the targets that a list of k has room for."""
    return hits(rank0, targets, k) / np.minimum(targets.count, k)


def precision(rank0: Ints, targets: Targets, k: int) -> Doubles:
    """Precision@k: targets among the first k, over k."""
    return hits(rank0, targets, k) / k


def reciprocal_rank(rank0: Ints, targets: Targets, k: int) -> Doubles:
    """MRR@k: 1 / rank of the first target, 0 if that is beyond k (Voorhees 1999)."""
    first = _first(rank0, targets)
    return np.where(first < k, 1.0 / (first + 1.0), 0.0)


def average_precision(rank0: Ints, targets: Targets, k: int) -> Doubles:
    """AP@k: the precision at the rank of each target among the first k, summed, over all R targets.

    The divisor is R, not min(k, R), as in trec_eval and ranx.
    """
    query = targets.query
    order = np.lexsort((rank0, query))
    nth = np.arange(len(order)) - targets.indptr[query] + 1  # among the targets of its query, best first
    rank0 = rank0[order]
    return _sum(np.where(rank0 < k, nth / (rank0 + 1.0), 0.0), targets) / targets.count


def ndcg(rank0: Ints, targets: Targets, k: int) -> Doubles:
    """NDCG@k with binary gains: sum of 1 / log2(rank + 1), over that of min(k, R) leading targets.

    Järvelin and Kekäläinen 2002, https://doi.org/10.1145/582415.582418.
    """
    gains = np.where(rank0 < k, 1.0 / np.log2(rank0 + 2.0), 0.0)
    ideal = np.cumsum(1.0 / np.log2(np.arange(2.0, k + 2.0)))
    values: Doubles = _sum(gains, targets) / ideal[np.minimum(targets.count, k) - 1]
    return values


def mean_ndcg(candidates: Candidates, targets: Targets, k: int) -> float:
    """NDCG@k averaged over the queries: how lists are chosen between."""
    return float(ndcg(target_rank0(candidates, targets), targets, k).mean())


def clustered_error(values: Doubles, user_idx: Ints) -> float:
    """The standard error of the mean of values (B,), those of a user hanging together."""
    by_user = np.bincount(user_idx, values - values.mean())
    return float(np.sqrt((by_user**2).sum())) / len(values)


def mean_recall(candidates: Candidates, targets: Targets, k: int) -> float:
    """Recall@k averaged over the queries."""
    return float(recall(target_rank0(candidates, targets), targets, k).mean())


def hits(rank0: Ints, targets: Targets, k: int) -> Doubles:
    """Number of targets among the first k; pooled recall is their sum over that of the targets."""
    return _sum((rank0 < k).astype(np.float64), targets)


def serendipity(rank0: Ints, targets: Targets, k: int, by_popularity: Longs) -> Doubles:
    """Hits that popularity would have ranked lower, weighted by how much lower, over k.

    ``1/k * sum over hits of max(0, P(rank0) - P(rank0 by popularity))`` with ``P(rank0) = 1 - rank0 / I``
    among I items; ``by_popularity`` (I,) is :func:`popularity_rank0`. The primitive recommender of Murakami,
    Mori and Orihara 2007, https://doi.org/10.1007/978-3-540-78197-4_5.
    """
    lift = (by_popularity[targets.item] - rank0.astype(np.int64)) / len(by_popularity)
    return _sum(np.where(rank0 < k, np.maximum(lift, 0.0), 0.0), targets) / k


ACCURACY: dict[str, Callable[[Ints, Targets, int], Doubles]] = {
    "hr": hit_rate,
    "ndcg": ndcg,
    "recall": recall,
    "capped_recall": capped_recall,
    "precision": precision,
    "mrr": reciprocal_rank,
    "map": average_precision,
}
"""The metrics that average one value a query, by name."""


def _sum(values: Doubles, targets: Targets) -> Doubles:
    return np.add.reduceat(values, targets.indptr[:-1])


def _first(rank0: Ints, targets: Targets) -> Ints:
    return np.minimum.reduceat(rank0, targets.indptr[:-1])


def raters(log: Dataset) -> Longs:
    """(I,) how many users rated each item."""
    return np.bincount(log.item_idx[first_ratings(log)], minlength=log.n_items)


def popularity_rank0(log: Dataset) -> Longs:
    """(I,) the rank0 of each item in the list of the most rated, ties by item index."""
    rank0 = np.empty(log.n_items, dtype=np.int64)
    rank0[np.argsort(-raters(log), kind="stable")] = np.arange(log.n_items)
    return rank0


def self_information(log: Dataset) -> Doubles:
    """(I,) ``-log2(fraction of users who rated the item)`` in bits; an unrated item counts as rated once."""
    n_users = np.count_nonzero(np.diff(log.indptr))
    bits: Doubles = np.log2(max(n_users, 1) / np.maximum(raters(log), 1))
    return bits


def exposure(candidates: Candidates, k: int, n_items: int, among: Mask) -> Longs:
    """(I,) in how many lists each item is among the first k, of the lists in ``among`` (B,) bool."""
    return _exposure(candidates.item[:, :k], n_items, among)


@njit(cache=True)
def _exposure(item: Ints, n_items: int, among: Mask) -> Longs:
    shown = np.zeros(n_items, dtype=np.int64)
    for row in range(len(item)):
        if among[row]:
            for position in range(item.shape[1]):
                if item[row, position] >= 0:
                    shown[item[row, position]] += 1
    return shown


def coverage(exposure: Longs) -> float:
    """The fraction of all items that at least one list shows."""
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


def novelty(candidates: Candidates, k: int, information: Doubles) -> Doubles:
    """The mean self-information, (I,) bits, of the first k items; nan for an empty list.

    Zhou et al. 2010, https://doi.org/10.1073/pnas.1000488107.
    """
    return _mean_over_list(candidates.item[:, :k], information)


@njit(parallel=True, cache=True)
def _mean_over_list(item: Ints, value: Doubles) -> Doubles:
    means = np.full(len(item), np.nan)
    for row in prange(len(item)):
        total, n = 0.0, 0
        for position in range(item.shape[1]):
            if item[row, position] >= 0:
                total += value[item[row, position]]
                n += 1
        if n:
            means[row] = total / n
    return means


def intra_list_distance(candidates: Candidates, k: int, vectors: NDArray[np.generic]) -> Doubles:
    """ILD@k: mean of 1 - cosine over all pairs of the first k items; nan for fewer than two.

    ``vectors`` is (I, D): genres, or any item embedding. A zero vector is at distance 1 from all.
    Ziegler et al. 2005, https://doi.org/10.1145/1060745.1060754.
    """
    return _intra_list_distance(candidates.item[:, :k], of_unit_length(vectors))


@njit(parallel=True, cache=True)
def _intra_list_distance(item: Ints, unit: Floats) -> Doubles:
    """The cosines of all pairs are ``(|sum of v|^2 - sum of |v|^2) / 2``: no loop over pairs."""
    distance = np.full(len(item), np.nan)
    for row in prange(len(item)):
        total = np.zeros(unit.shape[1])
        squares, n = 0.0, 0
        for position in range(item.shape[1]):
            if item[row, position] < 0:
                continue
            n += 1
            for d in range(unit.shape[1]):
                x = np.float64(unit[item[row, position], d])
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


def grouped_auc(label: NDArray[np.generic], score: NDArray[np.generic], group: Ints) -> Doubles:
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
        area: Doubles = (np.add.reduceat(positive * rank, begin) - p * (p + 1) / 2) / (p * n)
    return area


def log_loss(label: NDArray[np.generic], probability: NDArray[np.generic]) -> Doubles:
    """(N,) ``-log`` of the probability of what happened; probabilities are clipped to 1e-7 from 0 and 1.

    A label between 0 and 1 is taken as the fraction of the time that it happened.
    """
    p, y = np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7), label.astype(np.float64)
    loss: Doubles = -(y * np.log(p) + (1 - y) * np.log1p(-p))
    return loss


def rmse(rating: NDArray[np.floating], predicted: NDArray[np.floating]) -> float:
    """Root of the mean squared error of N predictions; nan without any."""
    error = predicted.astype(np.float64) - rating
    return float(np.sqrt(np.mean(error**2))) if len(error) else float("nan")
