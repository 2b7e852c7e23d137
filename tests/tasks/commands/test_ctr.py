"""Rankers on single ratings: what they are given, and what comes out."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.dataset import Dataset
from models.evaluation.ctr_splits import CTR_PROTOCOLS
from models.rank.ctr import HISTORY, ctr_rows
from tasks.commands.evaluate import evaluate
from tests.models.recall.small_logs import small_log
from tests.warehouse import batches
from warehouse.errors import MatineeError
from warehouse.evaluation import read_sums


@pytest.fixture(scope="module")
def log() -> Dataset:
    return small_log(n_users=30)


def test_seven_fields_and_nothing_else(log: Dataset) -> None:
    rows = np.flatnonzero(log.rating != 3)
    given = ctr_rows(log, rows)
    names = [feature.name for feature in given.schema.features]
    assert names == ["user_id", "gender", "age", "occupation", "item_id", "year", "genres"]
    batch = given.batch(np.arange(len(rows)))
    assert set(batch) == set(names)
    np.testing.assert_array_equal(batch["user_id"], log.user_idx[rows] + 1)
    np.testing.assert_array_equal(batch["gender"], log.users["gender"][log.user_idx[rows]] + 1)
    np.testing.assert_array_equal(batch["item_id"], log.item_idx[rows] + 1)
    np.testing.assert_array_equal(batch["genres"], log.items["genres"][log.item_idx[rows]])
    years = [-1, *sorted(set(log.items["year"].tolist()) - {-1})]
    assert [years[code] for code in batch["year"]] == log.items["year"][log.item_idx[rows]].tolist()
    for feature in given.schema.features:
        if feature.kind == "categorical":
            assert 0 <= batch[feature.name].min() <= batch[feature.name].max() < feature.size
    np.testing.assert_array_equal(given.label[:, 0], log.rating[rows] > 3)
    assert (np.diff(given.query) >= 0).all()


def test_histories_end_before_the_row(log: Dataset) -> None:
    rows = np.flatnonzero(log.rating != 3)[::2]
    batch = ctr_rows(log, rows, history=True).batch(np.arange(len(rows)))
    for kind, low, high in (("liked_items", 4, 5), ("disliked_items", 1, 2)):
        for row, codes in zip(rows, batch[kind].tolist(), strict=True):
            earlier = range(log.indptr[log.user_idx[row]], row)
            films = [int(log.item_idx[event]) + 1 for event in earlier if low <= log.rating[event] <= high]
            assert codes == ([0] * HISTORY + films)[-HISTORY:]


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


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="unknown ranker 'magic': choose from lr, fm, "):
        evaluate("ctr-random", "synthetic:0.01", rankers=["magic"])
    with pytest.raises(MatineeError, match="rankers alone"):
        evaluate("ctr-random", "synthetic:0.01", ["popular"])
    with pytest.raises(MatineeError, match="rankers alone"):
        evaluate("ctr-last", "synthetic:0.01", ["popular"])
    with pytest.raises(MatineeError, match="unknown baseline 'fm': no model of lr"):
        evaluate("ctr-last", "synthetic:0.01", rankers=["lr"], baseline="fm")
    few = batches.dat(tmp_path / "few", [(7, 1, 4, 10), (7, 2, 4, 20), (7, 3, 4, 30)])
    with pytest.raises(MatineeError, match="ctr-random cannot be run on this log"):
        evaluate("ctr-random", few, rankers=["lr"])
