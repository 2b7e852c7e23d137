"""Predicted ratings, from the command."""

import pytest

from models.evaluation.row_splits import RATING_PROTOCOLS
from tasks.commands.evaluate import evaluate
from warehouse.errors import MatineeError

SMALL = {"rankers": {"bayesian_fm": {"n_samples": 5, "burn_in": 5, "embedding_dim": 2}}}


@pytest.mark.parametrize("protocol", RATING_PROTOCOLS)
def test_channels_and_rankers_predict_the_same_ratings(protocol: str) -> None:
    answer = evaluate(
        protocol,
        "synthetic:0.01",
        ["lfm"],
        ["bayesian_fm", "lr", "gbdt"],
        seed=1,
        baseline="lr",
        config=SMALL,
    )
    rmse = {row["model"]: row for row in answer["rows"] if row["metric"] == "rmse"}
    assert [*rmse] == ["lfm", "bayesian_fm", "lr", "gbdt"]
    assert {row["n_events"] for row in answer["rows"]} == {rmse["lr"]["n_events"]}
    for row in rmse.values():
        assert 0.5 < row["value"] < 1.2
    assert rmse["bayesian_fm"]["value"] < rmse["lr"]["value"]
    differences = {(row["model"], row["metric"]): row for row in answer["differences"]}
    assert differences["lfm", "rmse"]["stage"] == "recall"
    assert differences["lfm", "rmse"]["value"] == pytest.approx(rmse["lfm"]["value"] - rmse["lr"]["value"])


def test_mistakes_are_reported() -> None:
    with pytest.raises(MatineeError, match="channel popular predicts no ratings: choose kinds among mf, bpr"):
        evaluate("rating", "synthetic:0.01", ["popular"])
    with pytest.raises(
        MatineeError, match=r"channel mf predicts no ratings: trainer\.kind must be ratings or sgd"
    ):
        evaluate("rating", "synthetic:0.01", ["mf"])
    with pytest.raises(MatineeError, match="--threshold 9 parts no ratings, which go from 1 to 5"):
        evaluate("ctr-last", "synthetic:0.01", rankers=["lr"], threshold=9.0)
    with pytest.raises(MatineeError, match="--threshold would do nothing"):
        evaluate("leave-one-out", "synthetic:0.01", threshold=4.0)
