"""Contributions of features: exact for trees, by leaving one out for all else."""

from dataclasses import replace

import numpy as np
import pytest

from models.features.schema import Feature, FeatureSchema
from models.rank.attribution import ablated
from models.rank.gbdt import GbdtConfig, fit_gbdt
from models.rank.registry import build_ranker
from models.rank.rows import Rows
from tests.models.rank.small_rows import SCHEMA, small_rows

NAMES = [feature.name for feature in SCHEMA.features]


def test_what_the_features_give_to_trees_adds_up_to_their_answer() -> None:
    train, validation = (small_rows(600, seed) for seed in range(2))
    trees = fit_gbdt(train, validation, 0, GbdtConfig(min_data_in_leaf=5, num_boost_round=20))
    found = trees.contributions(validation)
    assert found.shape == (600, len(NAMES))
    constant = trees.logits(validation)[:, 0] - found.sum(axis=1)
    np.testing.assert_allclose(constant, constant[0], atol=1e-5)
    for sequence in ("history", "searches"):
        assert (found[:, NAMES.index(sequence)] == 0).all()
    assert np.abs(found).mean(axis=0).argmax() in (NAMES.index("item_id"), NAMES.index("price"))
    other = replace(validation, schema=FeatureSchema(SCHEMA.features[:-1]))
    with pytest.raises(ValueError, match="other features"):
        trees.contributions(other)


def test_in_a_single_tree_each_feature_gives_what_its_column_decides() -> None:
    """The label is the one feature; the other one is noise that the tree never asks for."""
    schema = FeatureSchema((Feature("x", "cross", "numeric"), Feature("noise", "cross", "multi_hot", 2)))
    x = np.resize([0.0, 1.0], 400).astype(np.float32)
    number = np.arange(400)
    columns = {"x": x, "noise": np.zeros((400, 2), dtype=np.float32)}
    rows = Rows(schema, number, number, {}, {}, columns, x[:, None], ("watched",))
    config = GbdtConfig(num_boost_round=1, feature_fraction=1.0, bagging_fraction=1.0)
    trees = fit_gbdt(rows, rows, 0, config)
    found, logits = trees.contributions(rows), trees.logits(rows)[:, 0]
    np.testing.assert_allclose(found[:, 0], logits - logits.mean(), atol=1e-6)
    assert (found[:, 1] == 0).all()


@pytest.mark.parametrize("name", ["lr", "deep"])
def test_a_network_answers_again_without_each_feature(name: str) -> None:
    rows = small_rows(40)
    network = build_ranker(name, {"training": {"epochs": 1}}).fit(rows, small_rows(40, 1), 0)
    found = ablated(network, rows)
    assert found.shape == (40, len(NAMES))
    without = replace(rows, pairs={"price": np.zeros_like(rows.pairs["price"])})
    expected = (network.logits(rows) - network.logits(without))[:, 0]
    np.testing.assert_array_equal(found[:, NAMES.index("price")], expected)
    empty = rows.queries["history"][rows.query].max(axis=1) == 0
    assert empty.any()
    assert (found[empty, NAMES.index("history")] == 0).all()
    assert np.abs(found[~empty, NAMES.index("history")]).max() > 0
