"""Rankers on single ratings, from the command."""

import json
from pathlib import Path

import pytest

from models.evaluation.row_splits import CTR_PROTOCOLS
from tasks.commands.evaluate import evaluate
from tests.warehouse import batches
from warehouse.errors import MatineeError
from warehouse.evaluation import read_sums


@pytest.mark.parametrize("protocol", CTR_PROTOCOLS)
def test_each_ranker_is_measured_on_the_same_rows(protocol: str, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    answer = evaluate(protocol, "synthetic:0.01", rankers=["lr", "fm"], seed=1, baseline="lr", out=out)
    assert json.loads(out.read_text()) == answer["rows"]
    assert [[protocol, digest] for digest in answer["split"]] == [read_sums(out)["split"].tolist()]
    assert [(row["stage"], row["model"], row["metric"]) for row in answer["rows"]] == [
        ("rank", model, metric) for model in ("lr", "fm") for metric in ("auc", "gauc", "logloss")
    ]
    for row in answer["rows"]:
        assert (row["protocol"], row["slice"], row["k"], row["seed"]) == (protocol, "all", None, 1)
        assert row["fit_seconds"] > 0
    auc = {row["model"]: row for row in answer["rows"] if row["metric"] == "auc"}
    assert auc["lr"]["n_events"] == auc["fm"]["n_events"]
    assert auc["lr"]["ci_low"] < auc["lr"]["value"] < auc["lr"]["ci_high"]
    assert auc["lr"]["value"] > 0.55  # the labels of the synthetic source can be learned
    for row, theirs, ours in zip(answer["differences"], answer["rows"][:3], answer["rows"][3:], strict=True):
        assert (row["model"], row["metric"]) == ("fm", ours["metric"])
        if ours["value"] is not None:
            assert row["value"] == pytest.approx(ours["value"] - theirs["value"])
    again = evaluate(protocol, "synthetic:0.01", rankers=["fm"], seed=1)
    assert again["split"] == answer["split"]
    assert [row["value"] for row in again["rows"]] == [row["value"] for row in answer["rows"][3:]]


def test_mistakes_are_reported(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="unknown ranker 'magic': choose from lr, fm, "):
        evaluate("ctr-random", "synthetic:0.01", rankers=["magic"])
    with pytest.raises(MatineeError, match="rankers alone"):
        evaluate("ctr-random", "synthetic:0.01", ["popular"])
    with pytest.raises(MatineeError, match="rankers alone"):
        evaluate("ctr-last", "synthetic:0.01", ["popular"])
    with pytest.raises(MatineeError, match="unknown baseline 'fm': choose from lr"):
        evaluate("ctr-last", "synthetic:0.01", rankers=["lr"], baseline="fm")
    few = batches.dat(tmp_path / "few", [(7, 1, 4, 10), (7, 2, 4, 20), (7, 3, 4, 30)])
    with pytest.raises(MatineeError, match="ctr-random cannot be run on this log"):
        evaluate("ctr-random", few, rankers=["lr"])


def test_other_tasks_are_learned_beside_liking_unless_settings_say_otherwise() -> None:
    training = {"epochs": 2, "batch_size": 256}
    by_default, alone = (
        evaluate("ctr-random", "synthetic:0.01", rankers=["dcn_v2"], config={"rankers": {"dcn_v2": settings}})
        for settings in ({"training": training}, {"training": training, "auxiliary": 0.0})
    )
    assert [row["value"] for row in by_default["rows"]] != [row["value"] for row in alone["rows"]]


@pytest.mark.parametrize("protocol", CTR_PROTOCOLS)
def test_stars_grade_a_ranker_that_reads_them_unless_settings_say_otherwise(protocol: str) -> None:
    few = {"n_samples": 5, "burn_in": 5}
    by_default, alone = (
        evaluate(
            protocol,
            "synthetic:0.01",
            rankers=["bayesian_fm"],
            config={"rankers": {"bayesian_fm": few | settings}},
        )["rows"]
        for settings in ({}, {"graded_by": None})
    )
    assert by_default[0]["value"] > 0.6
    assert [row["value"] for row in by_default] != [row["value"] for row in alone]
