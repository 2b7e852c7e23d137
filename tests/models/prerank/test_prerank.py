"""Pre-ranking: cheap scores that are those of the whole network, and the rows that are kept."""

from dataclasses import replace

import numpy as np
import pytest

from models.evaluation import metrics
from models.features.schema import FeatureSchema
from models.prerank.prerank import (
    TWO_TOWERS,
    PreRanker,
    ThreeTowerConfig,
    best_of_query,
    fit_prerank,
    restore_prerank,
)
from models.rank.rows import Rows
from models.rank.trainer import predict
from tests.models.rank.small_rows import small_rows


@pytest.fixture(scope="module")
def test_rows() -> Rows:
    return small_rows(1000, 2)


@pytest.fixture(scope="module", params=[ThreeTowerConfig(), TWO_TOWERS], ids=["three", "two"])
def trained(request: pytest.FixtureRequest) -> PreRanker:
    return fit_prerank(small_rows(1000, 0), small_rows(1000, 1), seed=1, config=request.param)


def test_cached_towers_say_what_the_network_says_row_by_row(trained: PreRanker, test_rows: Rows) -> None:
    expected = predict(trained.network.module, test_rows)
    np.testing.assert_allclose(trained.logits(test_rows), expected, rtol=1e-4, atol=1e-5)
    assert expected.shape == (len(test_rows), 1)


def test_it_knows_better_than_chance_and_more_with_what_is_of_user_and_item(
    trained: PreRanker, test_rows: Rows
) -> None:
    label = test_rows.label[:, 0]
    area = metrics.auc(label, trained.logits(test_rows)[:, 0])
    assert area > 0.65
    shuffled = replace(
        test_rows, pairs={"price": np.random.default_rng(0).permutation(test_rows.pairs["price"])}
    )
    without = metrics.auc(label, trained.logits(shuffled)[:, 0])
    assert (without < area - 0.01) if trained.config.cross else (without == area)


def test_each_tower_reads_what_is_kept_a_query_an_item_or_a_pair(trained: PreRanker) -> None:
    rows = small_rows()
    assert set(trained.parts.user) == set(rows.queries)
    assert set(trained.parts.item) == set(rows.items)
    assert trained.parts.cross == ("price",)
    assert trained.tasks == ("watched",)


def test_state_is_all_that_was_learned(trained: PreRanker, test_rows: Rows) -> None:
    restored = restore_prerank({name: value.copy() for name, value in trained.state.items()})
    np.testing.assert_array_equal(restored.logits(test_rows), trained.logits(test_rows))
    assert (restored.parts, restored.config, restored.tasks) == (trained.parts, trained.config, trained.tasks)


def test_every_parameter_gets_gradient(trained: PreRanker, test_rows: Rows) -> None:
    module = trained.network.module
    module.zero_grad()
    module(test_rows.batch(np.arange(256))).square().sum().backward()
    for name, weight in module.named_parameters():
        if weight.numel():  # the cross tower has no symbolic feature here
            assert weight.grad is not None, name
            assert weight.grad.abs().max() > 0, name


def test_rows_with_other_features_are_refused(trained: PreRanker, test_rows: Rows) -> None:
    with pytest.raises(ValueError, match="other features"):
        trained.logits(replace(test_rows, schema=FeatureSchema(())))


def test_the_best_of_each_query_are_kept() -> None:
    query = np.array([0, 0, 0, 1, 3, 3, 3])
    score = np.array([1.0, 3.0, 2.0, -5.0, 1.0, 1.0, 1.0], dtype=np.float32)
    kept = best_of_query(score, query, 2)
    assert kept.tolist() == [False, True, True, True, True, True, False]
