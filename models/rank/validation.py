"""One metric of the scores of labelled rows, higher is better: rankers are stopped and fused by it."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.dataset import Doubles, Floats, Longs
from models.evaluation import metrics
from models.targets import Targets, offsets

Metric = Literal["auc", "gauc", "logloss", "ndcg", "rmse"]

NDCG_AT = 10
"""Length of a query's list that ``ndcg`` is taken of."""


def metric_value(label: Floats, logit: NDArray[np.floating], query: Longs, metric: Metric) -> float:
    """The metric of one task; (N,) each, ``query`` non-decreasing. Rows whose label is nan are left out.

    Log loss and RMSE come with a minus sign; of labels between 0 and 1, RMSE alone has a meaning. ``gauc``
    and ``ndcg`` are averages over queries. Without a labelled row it is nan.
    """
    labelled = ~np.isnan(label)
    if not labelled.any():
        return float("nan")
    label, logit, query = label[labelled], logit[labelled], query[labelled]
    if metric == "auc":
        return metrics.auc(label, logit)
    if metric == "gauc":
        return metrics.gauc(label, logit, query.astype(np.int32))
    if metric == "ndcg":
        return _ndcg(label, logit, query)
    if metric == "rmse":
        return -metrics.rmse(label, probability(logit))
    return -float(metrics.log_loss(label, probability(logit)).mean())


def probability(logit: NDArray[np.floating]) -> Doubles:
    """The sigmoid in double precision, so that distinct logits stay distinct."""
    return 1 / (1 + np.exp(-logit.astype(np.float64)))


def ranks0(score: NDArray[np.floating], query: Longs) -> Longs:
    """(N,) the 0-based rank of each row in its query's list, best first, ties by row."""
    order = np.lexsort((-score, query))
    rank0 = np.empty(len(order), dtype=np.int64)
    rank0[order] = np.arange(len(order)) - np.searchsorted(query, query[order])
    return rank0


def _ndcg(label: Floats, logit: NDArray[np.floating], query: Longs) -> float:
    """The mean NDCG@10 over queries with a positive row; nan without one."""
    positive = label > 0
    if not positive.any():
        return float("nan")
    rank0 = ranks0(logit, query)[positive].astype(np.int32)
    targets = Targets(offsets(np.unique(query[positive], return_counts=True)[1]), rank0)
    return float(metrics.ndcg(rank0, targets, NDCG_AT).mean())
