"""Names of the metrics, which way is better, and the main metrics of each protocol."""

from collections.abc import Mapping, Sequence
from typing import Any

MetricAtK = tuple[str, int | None]
"""A metric and the length of the list that it is taken of; None for metrics that have no list."""

MAIN_METRICS: dict[str, list[MetricAtK]] = {
    "next-visit": [("ndcg", 10), ("recall", 50), ("hr", 10)],
    "leave-one-out": [("hr", 10), ("ndcg", 10), ("hr", 50), ("recall", 300)],
    "leave-one-out-timed": [("hr", 10), ("ndcg", 10)],
    "leave-one-out-shuffled": [("hr", 10), ("ndcg", 10)],
    "leave-last-page-out": [("recall", 10), ("ndcg", 10)],
    "last-two": [("recall", 10), ("ndcg", 10)],
    "temporal-2003": [("pooled_recall", 50), ("pooled_recall", 300), ("ndcg", 10)],
    "successive": [("hr", 10), ("ndcg", 10)],
    "rolling": [("recall", 50), ("ndcg", 10), ("coverage", 50)],
    "months-ahead": [("capped_recall", 50), ("pooled_recall", 50)],
    "ctr-random": [("auc", None), ("logloss", None), ("gauc", None)],
    "ctr-last": [("auc", None), ("logloss", None)],
    "rating": [("rmse", None), ("mae", None), ("auc", None)],
    "rating-time": [("rmse", None), ("mae", None), ("auc", None)],
}
"""The metrics that decide on each protocol, the first of them first."""

METRIC_NAMES = {
    "hr": "HR",
    "ndcg": "NDCG",
    "pooled_recall": "pooled recall",
    "capped_recall": "capped recall",
    "auc": "AUC",
    "gauc": "GAUC",
    "logloss": "log loss",
    "rmse": "RMSE",
    "mae": "MAE",
}
"""Metrics whose written name is not the one in tables and files."""

LOWER_IS_BETTER = ("logloss", "rmse", "mae")
"""Losses and errors; of all other metrics more is better."""

COMPETING_STAGES = ("recall", "rank", "lists")
"""Stages whose models compete with each other; those of other stages are made of them."""


def heading(column: MetricAtK) -> str:
    """A metric as people write it, with the length of the list: ``NDCG@10``."""
    name, k = column
    return METRIC_NAMES.get(name, name) + ("" if k is None else f"@{k}")


def best_of(column: MetricAtK, rows: Sequence[Mapping[str, Any]]) -> float:
    """The best value of a metric among the rows of an evaluation."""
    values = [row["value"] or 0.0 for row in rows if (row["metric"], row["k"]) == column]
    return float(min(values) if column[0] in LOWER_IS_BETTER else max(values))


def in_order(column: MetricAtK, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows of one metric by stage: competing models best first, the others as they come."""
    chosen = [row for row in rows if (row["metric"], row["k"]) == column]
    stages = list(dict.fromkeys(row["stage"] for row in chosen))
    sign = 1 if column[0] in LOWER_IS_BETTER else -1

    def key(row: Mapping[str, Any]) -> tuple[int, float]:
        competing = row["stage"] in COMPETING_STAGES
        return stages.index(row["stage"]), sign * (row["value"] or 0.0) if competing else 0.0

    return sorted(chosen, key=key)


def model_label(row: Mapping[str, Any]) -> str:
    """The name of a model on screens: a pre-ranker may have the name of a ranker, or of the merged list."""
    model: str = row["model"]
    if row.get("stage") == "rerank":
        return f"re-ranked by {model}"
    return f"{model} (pre-ranked)" if row.get("stage") == "prerank" else model
