"""Trees alone; the contract of all rankers is in test_contract."""

from dataclasses import replace

import lightgbm as lgb
import numpy as np
import pytest

from models.evaluation.metrics import auc
from models.features.schema import Feature, FeatureSchema
from models.rank.gbdt import GbdtConfig, fit_gbdt, restore_gbdt
from models.rank.rows import Rows
from models.rank.trees import compiled
from tests.models.rank.small_rows import small_rows

CONFIG = GbdtConfig(min_data_in_leaf=5, num_boost_round=60, feature_fraction=1.0)


def test_learns_what_the_labels_depend_on_and_answers_the_same_from_its_state() -> None:
    train, validation, test = (small_rows(2000, seed) for seed in range(3))
    # Of another log: same items, other tastes of queries.
    test = replace(test, items=train.items)
    trained = fit_gbdt(train, replace(validation, items=train.items), 0, CONFIG)
    logits = trained.logits(test)
    assert logits.shape == (2000, 1)
    assert logits.dtype == np.float32
    assert auc(test.label[:, 0], logits[:, 0]) > 0.75
    assert trained.tasks == ("watched",)
    state = {name: value.copy() for name, value in trained.state.items()}
    assert all(value.dtype == np.uint8 for value in state.values())
    np.testing.assert_array_equal(restore_gbdt(state).logits(test), logits)
    again = fit_gbdt(train, replace(validation, items=train.items), 0, CONFIG)
    np.testing.assert_array_equal(again.logits(test), logits)


def numbers(x: np.ndarray, label: np.ndarray) -> Rows:
    """Rows of one number."""
    schema = FeatureSchema((Feature("x", "cross", "numeric"),))
    number = np.arange(len(x))
    return Rows(schema, number, number, {}, {}, {"x": x.astype(np.float32)}, label[:, None], ("watched",))


def test_log_odds_are_those_of_the_labels() -> None:
    x = np.resize([0.0, 1.0], 4000)
    # One in ten at 0, half at 1.
    label = (np.resize(np.arange(10), 2000)[:, None] < [1, 5]).astype(np.float32).ravel()
    rows = numbers(x, label)
    config = CONFIG.but(num_boost_round=200, early_stopping_round=200, bagging_fraction=1.0)
    logits = fit_gbdt(rows, rows, 0, config).logits(rows)[:, 0]
    np.testing.assert_allclose(logits[x == 0], np.log(1 / 9), atol=0.05)
    np.testing.assert_allclose(logits[x == 1], 0, atol=0.05)


@pytest.mark.parametrize("n_rows", [0, 1, 63, 64, 1000])
def test_compiled_trees_answer_as_those_of_the_library(n_rows: int) -> None:
    rng = np.random.default_rng(n_rows)
    x = np.round(rng.standard_normal((3000, 6)), 2)  # many values that are thresholds
    label = (x[:, 0] * x[:, 1] + x[:, 2] > rng.standard_normal(3000)).astype(float)
    booster = lgb.train({"objective": "binary", "num_leaves": 40, "verbose": -1}, lgb.Dataset(x, label), 30)
    rows = np.round(rng.standard_normal((n_rows, 6)), 2).astype(np.float32)
    expected = booster.predict(rows, raw_score=True) if n_rows else np.empty(0)
    np.testing.assert_array_equal(compiled(booster.model_to_string()).scores(rows), expected)


def test_trees_over_missing_values_are_not_compiled() -> None:
    x = np.where(np.arange(400) % 3 == 0, np.nan, np.arange(400))[:, None]
    booster = lgb.train({"objective": "binary", "verbose": -1}, lgb.Dataset(x, np.arange(400) % 2), 2)
    with pytest.raises(ValueError, match="missing values"):
        compiled(booster.model_to_string())


def test_stops_where_the_validation_rows_are_predicted_no_better() -> None:
    rng = np.random.default_rng(0)
    noise = [numbers(rng.random(400), rng.integers(0, 2, 400).astype(np.float32)) for _ in range(2)]
    trained = fit_gbdt(*noise, 0, CONFIG.but(num_boost_round=300, early_stopping_round=5))
    assert trained.booster.num_trees() < 100


def test_what_it_cannot_use_is_refused() -> None:
    rows, none = small_rows(50), small_rows(10)
    none = replace(none, query=none.query[:0], item=none.item[:0], label=none.label[:0])
    other = numbers(np.zeros(10), np.zeros(10, dtype=np.float32))
    with pytest.raises(ValueError, match="rows to learn from"):
        fit_gbdt(rows, none, 0)
    with pytest.raises(ValueError, match="different features"):
        fit_gbdt(rows, other, 0)
    with pytest.raises(ValueError, match="other features"):
        fit_gbdt(rows, rows, 0, CONFIG).logits(other)
