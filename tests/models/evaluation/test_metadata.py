"""Metrics as people read them: names, which way is better, order of the models."""

from typing import Any

from models.evaluation.metadata import MAIN_METRICS, best_of, heading, in_order
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.row_splits import CTR_PROTOCOLS, RATING_PROTOCOLS


def row(stage: str, model: str, metric: str, value: float | None) -> dict[str, Any]:
    return {"stage": stage, "model": model, "metric": metric, "k": None, "value": value}


def test_every_protocol_has_main_metrics() -> None:
    assert set(MAIN_METRICS) == {*PROTOCOLS, *CTR_PROTOCOLS, *RATING_PROTOCOLS}


def test_headings_name_the_length_of_the_list_where_there_is_one() -> None:
    assert [heading(column) for column in (("ndcg", 10), ("logloss", None), ("coverage", 50))] == [
        "NDCG@10",
        "log loss",
        "coverage@50",
    ]


def test_the_best_auc_is_the_highest_and_the_best_log_loss_the_lowest() -> None:
    rows = [row("rank", "a", metric, value) for metric in ("auc", "logloss") for value in (0.3, 0.7)]
    assert best_of(("auc", None), rows) == 0.7
    assert best_of(("logloss", None), rows) == 0.3


def test_competing_models_stand_best_first_within_their_stage_and_others_as_they_come() -> None:
    rows = [
        row("recall", "worse", "auc", 0.1),
        row("recall", "better", "auc", 0.2),
        row("recall", "undefined", "auc", None),
        row("merge", "merged", "auc", 0.05),
        row("merge", "best_channel", "auc", 0.9),
        row("rank", "a", "logloss", 0.1),
    ]
    models = [found["model"] for found in in_order(("auc", None), rows)]
    assert models == ["better", "worse", "undefined", "merged", "best_channel"]


def test_of_losses_the_lowest_stands_first() -> None:
    rows = [row("rank", "a", "logloss", 0.6), row("rank", "b", "logloss", 0.4)]
    assert [found["model"] for found in in_order(("logloss", None), rows)] == ["b", "a"]
