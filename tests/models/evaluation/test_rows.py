"""Slices, scores and rows against plain loops over the same splits."""

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from models.candidates import Candidates
from models.dataset import DAY, Dataset
from models.evaluation import metrics
from models.evaluation.bootstrap import BootstrapConfig
from models.evaluation.leave_out import leave_one_out
from models.evaluation.protocols import rolling, temporal
from models.evaluation.rows import (
    MeasuredModel,
    Row,
    classifier_rows,
    compare,
    compare_classifiers,
    compare_ratings,
    ranking_rows,
    rating_rows,
)
from models.evaluation.scores import RANKING_METRICS, EvaluationConfig, Evaluator, Scores
from models.evaluation.slices import SliceConfig, query_slices, target_slices
from models.evaluation.split import Split
from tests.models.evaluation.logs import lists, log_of, random_lists, random_log

CONFIG = EvaluationConfig(ks=(3, 20))
BOOTSTRAP = BootstrapConfig(resamples=50)
MODEL = MeasuredModel("recall", "random", seed=4, fit_seconds=1.5)


@pytest.fixture(scope="module")
def log() -> Dataset:
    return random_log(0, "2000-10-01", "2003-03-01", n_users=60, n_items=600, n_events=9000)


def random_for(split: Split, seed: int = 0) -> Candidates:
    return random_lists(seed, len(split.queries), 20, split.train.n_items)


def find(rows: list[Row], slice_: str, metric: str, k: int | None) -> Row:
    (row,) = (row for row in rows if (row.slice, row.metric, row.k) == (slice_, metric, k))
    return row


def test_user_and_item_slices_are_by_training_count() -> None:
    # Users 0 to 9 have 1 to 10 training events each, items fall in popularity; user 10 has none.
    events = [("2000-01-01", user, item) for user in range(10) for item in range(user + 1)]
    test_events = [("2003-02-01", user, 11) for user in range(10)]
    split = temporal(log_of(*events, *test_events, n_users=11))
    config = SliceConfig(cold=0.2, hot=0.8)
    named = {name: np.flatnonzero(mask).tolist() for name, mask in query_slices(split, config, {}).items()}
    assert named["user=cold"] == [0, 1]
    assert named["user=warm"] == [2, 3, 4, 5, 6, 7]
    assert named["user=hot"] == [8, 9]
    items = target_slices(
        replace(split, targets=replace(split.targets, item=np.arange(10, dtype=np.int32))), config
    )
    assert np.flatnonzero(items["item=hot"]).tolist() == [0, 1]
    assert np.flatnonzero(items["item=cold"]).tolist() == [8, 9]
    assert target_slices(split, config)["item=cold"].all()  # item 11 was never rated before


def test_counts_at_a_boundary_are_the_colder_side() -> None:
    # Counts 1 and 3 are themselves the quantiles 0.2 and 0.8 of 1, 1, 3, 3, 3.
    counts = [1, 1, 3, 3, 3]
    events = [("2000-01-01", user, item) for user, n in enumerate(counts) for item in range(n)]
    split = temporal(log_of(*events, *[("2003-02-01", user, 11) for user in range(5)]))
    slices = query_slices(split, SliceConfig(cold=0.2, hot=0.8), {})
    assert [int(slices[f"user={name}"].sum()) for name in ("cold", "warm", "hot")] == [2, 3, 0]


def test_activity_counts_the_last_days_before_the_query() -> None:
    recent = [("2002-12-15", 0, item) for item in range(10)] + [("2002-12-15", 1, 0)]
    old = [("2002-12-01", user, 20) for user in range(3)]
    split = temporal(log_of(*old, *recent, *[("2003-01-05", user, 30) for user in range(3)]))
    slices = query_slices(split, SliceConfig(recent_days=20, active_events=10), {})
    activity = [slices[f"activity={level}"].tolist() for level in ("high", "low", "none")]
    assert activity == np.eye(3, dtype=bool).tolist()


def test_attributes_are_named_by_their_labels(log: Dataset) -> None:
    split = leave_one_out(log)
    codes = log.users["gender"][split.queries.user_idx]
    plain = query_slices(split, SliceConfig(), {})
    named = query_slices(split, SliceConfig(), {"gender": ["F", "M"]})
    np.testing.assert_array_equal(plain["gender=1"], codes == 1)
    np.testing.assert_array_equal(named["gender=M"], codes == 1)
    np.testing.assert_array_equal(named["gender=unknown"], codes == -1)


def test_metrics_are_plain_means_over_the_queries_of_the_slice(log: Dataset) -> None:
    splits = rolling(log)
    candidates = [random_for(split, seed) for seed, split in enumerate(splits)]
    rows = ranking_rows(Evaluator(splits, CONFIG).scores(candidates), MODEL, BOOTSTRAP)
    values: dict[str, list[float]] = {"all": [], "known": [], "window=2001-06-01": [], "gender=0": []}
    for split, found in zip(splits, candidates, strict=True):
        ranks = metrics.target_rank0(found, split.targets)
        for b, value in enumerate(metrics.ndcg(ranks, split.targets, 20)):
            values["all"].append(value)
            if split.slices["known"][b]:
                values["known"].append(value)
            if split.window == "2001-06-01":
                values["window=2001-06-01"].append(value)
            if log.users["gender"][split.queries.user_idx[b]] == 0:
                values["gender=0"].append(value)
    for name, expected in values.items():
        row = find(rows, name, "ndcg", 20)
        assert row.value == pytest.approx(np.mean(expected))
        assert row.ci_low < row.value < row.ci_high


def test_pooled_recall_and_item_slices_count_events(log: Dataset) -> None:
    split = temporal(log)
    found = random_for(split)
    rows = ranking_rows(Evaluator([split], CONFIG).scores([found]), MODEL, BOOTSTRAP)
    pairs = zip(split.targets.query, split.targets.item, strict=True)
    hit = np.array([item in found.item[query] for query, item in pairs])
    overall = find(rows, "all", "pooled_recall", 20)
    assert overall.value == pytest.approx(hit.mean())
    assert (overall.n_users, overall.n_events) == (len(split.queries), len(hit))
    for name, mask in target_slices(split, CONFIG.slices).items():
        row = find(rows, name, "pooled_recall", 20)
        assert row.value == pytest.approx(hit[mask].mean())
        assert (row.n_users, row.n_events) == (len(set(split.targets.query[mask])), mask.sum())
        assert hit[mask].any()


def test_coverage_and_gini_are_of_the_lists_of_all_windows(log: Dataset) -> None:
    splits = rolling(log)
    candidates = [random_for(split, seed) for seed, split in enumerate(splits)]
    rows = ranking_rows(Evaluator(splits, CONFIG).scores(candidates), MODEL, BOOTSTRAP)
    shown = {i for found in candidates for row in found.item[:, :3].tolist() for i in row if i >= 0}
    row = find(rows, "all", "coverage", 3)
    assert row.value == pytest.approx(len(shown) / log.n_items)
    assert (row.ci_low, row.ci_high) == (None, None)


def test_rows_have_the_fields_of_the_contract_and_are_json(log: Dataset) -> None:
    split = leave_one_out(log)
    # A channel that answers nothing: novelty, diversity and gini are undefined, and null.
    nothing = lists(np.full((len(split.queries), 20), -1).tolist())
    rows = ranking_rows(Evaluator([split], CONFIG).scores([nothing]), MODEL, BOOTSTRAP)
    read = json.loads(json.dumps([asdict(row) for row in rows], allow_nan=False))
    assert set(read[0]) == {
        *("stage", "model", "protocol", "slice", "metric", "k", "value", "ci_low", "ci_high"),
        *("n_users", "n_events", "seed", "fit_seconds"),
    }
    assert {row["metric"] for row in read} == set(RANKING_METRICS)
    undefined = {row["metric"] for row in read if row["value"] is None}
    assert undefined == {"novelty", "ild", "gini"}
    assert find(rows, "all", "hr", 3).value == 0
    assert {(row.stage, row.model, row.protocol, row.seed, row.fit_seconds) for row in rows} == {
        ("recall", "random", "leave-one-out", 4, 1.5)
    }


@pytest.mark.parametrize("metric", RANKING_METRICS)
def test_each_metric_can_be_measured_alone(log: Dataset, metric: str) -> None:
    split = leave_one_out(log)
    config = CONFIG.but(metrics=(metric,))
    rows = ranking_rows(Evaluator([split], config).scores([random_for(split)]), MODEL, BOOTSTRAP)
    assert {(row.metric, row.k) for row in rows} == {(metric, 3), (metric, 20)}


def test_longer_lists_than_there_are_get_no_rows(log: Dataset) -> None:
    split = leave_one_out(log)
    found = random_for(split)
    short = Candidates(found.item[:, :10], found.score[:, :10])
    evaluator = Evaluator([split], CONFIG)
    assert {key[2] for key in evaluator.scores([short]).keys} == {3}
    with pytest.raises(ValueError, match="shorter"):
        Evaluator([split], CONFIG.but(ks=(20,))).scores([short])


def test_wrong_input_is_refused(log: Dataset) -> None:
    split = leave_one_out(log)
    with pytest.raises(ValueError, match="f1"):
        Evaluator([split], CONFIG.but(metrics=("f1",)))
    with pytest.raises(ValueError, match="one list for each query"):
        Evaluator([split], CONFIG).scores([random_lists(0, 3, 20, log.n_items)])


def with_targets_first(split: Split, found: Candidates) -> Candidates:
    """A better model: the first target of each query is at the top."""
    item = found.item.copy()
    item[:, 0] = split.targets.item[split.targets.indptr[:-1]]
    return Candidates(item, found.score)


def scores_of(split: Split, found: Candidates, config: EvaluationConfig = CONFIG) -> Scores:
    return Evaluator([split], config).scores([found])


def test_compare_gives_differences_of_metrics_with_paired_intervals(log: Dataset) -> None:
    split = temporal(log)
    base, better = (
        scores_of(split, found) for found in (random_for(split), with_targets_first(split, random_for(split)))
    )
    differences = {(d.slice, d.metric, d.k): d for d in compare(better, base, BOOTSTRAP)}
    assert set(differences) == set(base.keys)
    for metric in ("hr", "ndcg", "pooled_recall"):
        pair = [find(ranking_rows(s, MODEL, BOOTSTRAP), "all", metric, 3).value for s in (better, base)]
        got = differences["all", metric, 3]
        assert got.value == pytest.approx(pair[0] - pair[1])
        assert 0 < got.ci_low < got.value < got.ci_high
    same = compare(base, base, BOOTSTRAP)
    assert {(d.value, d.ci_low, d.ci_high) for d in same if d.metric == "ndcg"} == {(0, 0, 0)}


def test_compare_uses_the_metrics_both_have_and_refuses_other_splits(log: Dataset) -> None:
    split = temporal(log)
    base = scores_of(split, random_for(split))
    narrow = scores_of(split, random_for(split), CONFIG.but(metrics=("ndcg", "hr"), ks=(20,)))
    assert {(d.metric, d.k) for d in compare(base, narrow, BOOTSTRAP)} == {("ndcg", 20), ("hr", 20)}
    other = temporal(log.before(log.as_of - 10 * DAY))
    with pytest.raises(ValueError, match="same split"):
        compare(base, scores_of(other, random_for(other)), BOOTSTRAP)


def test_classifier_rows() -> None:
    rng = np.random.default_rng(0)
    user = rng.integers(0, 30, 2000).astype(np.int32)
    probability = rng.random(2000).astype(np.float32)
    label = (rng.random(2000) < probability).astype(np.float32)
    rows = classifier_rows(label, probability, user, "ctr-random", MeasuredModel("rank", "fm"), BOOTSTRAP)
    expected = {
        "auc": metrics.auc(label, probability),
        "gauc": metrics.gauc(label, probability, user),
        "logloss": metrics.log_loss(label, probability).mean(),
    }
    assert {row.metric: row.value for row in rows} == pytest.approx(expected)
    for row in rows:
        assert (row.slice, row.k, row.n_users, row.n_events) == ("all", None, 30, 2000)
        assert row.ci_low < row.value < row.ci_high
    assert expected["auc"] == pytest.approx(5 / 6, abs=0.03)  # P(s) = s on a uniform score


def test_rating_rows_and_their_paired_differences() -> None:
    rng = np.random.default_rng(0)
    user = rng.integers(0, 30, 2000).astype(np.int32)
    rating = rng.integers(1, 6, 2000).astype(np.float32)
    near, far = (rating + noise * rng.normal(size=2000) for noise in (0.5, 1.0))
    rows = [
        rating_rows(rating, predicted, user, 4.0, "rating", MeasuredModel("recall", "lfm"), BOOTSTRAP)
        for predicted in (near, far)
    ]
    assert {row.metric: row.value for row in rows[0]} == pytest.approx(
        {
            "rmse": np.mean((near - rating) ** 2) ** 0.5,
            "mae": np.mean(abs(near - rating)),
            "auc": metrics.auc(rating >= 4, near),
        }
    )
    for row in rows[0]:
        assert (row.slice, row.k, row.n_users, row.n_events) == ("all", None, 30, 2000)
        assert row.ci_low < row.value < row.ci_high
    differences = compare_ratings(rating, near, far, user, 4.0, BOOTSTRAP)
    for difference, left, right in zip(differences, *rows, strict=True):
        assert difference.metric == left.metric
        assert difference.value == pytest.approx(left.value - right.value)
    assert differences[0].ci_high < 0 < differences[2].ci_low


def test_differences_of_classifiers_are_paired() -> None:
    rng = np.random.default_rng(2)
    label, user = rng.integers(0, 2, 2000), rng.integers(0, 100, 2000)
    score = label + rng.normal(0, 2, 2000)
    ours, theirs = (1 / (1 + np.exp(-score - noise * rng.normal(size=2000))) for noise in (0.0, 0.5))
    differences = compare_classifiers(label, ours, theirs, user, BOOTSTRAP)
    rows = [
        classifier_rows(label, values, user, "ctr-random", MeasuredModel("rank", "fm"), BOOTSTRAP)
        for values in (ours, theirs)
    ]
    assert [row.metric for row in differences] == ["auc", "gauc", "logloss"]
    for difference, left, right in zip(differences, *rows, strict=True):
        assert (difference.slice, difference.k) == ("all", None)
        assert difference.value == pytest.approx(left.value - right.value)
        assert difference.ci_low < difference.value < difference.ci_high
        # Far narrower than the interval of either model alone.
        assert difference.ci_high - difference.ci_low < 0.6 * (left.ci_high - left.ci_low)
    assert differences[0].ci_low > 0
    same = compare_classifiers(label, ours, ours, user, BOOTSTRAP)
    assert {(row.value, row.ci_low, row.ci_high) for row in same} == {(0, 0, 0)}


@pytest.mark.parametrize(
    "settings",
    [
        {"metrics": ("hr", "accuracy")},
        {"ks": ()},
        {"ks": (0,)},
        {"slices": {"cold": 0.9, "hot": 0.1}},
        {"slices": {"recent_days": 0}},
    ],
)
def test_measures_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EvaluationConfig(**settings)
