"""The towers of pre-ranking: cheap scores that are those of the whole network."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from models.evaluation import metrics
from models.features.schema import FeatureSchema
from models.prerank.pre_ranker import PreRanker
from models.prerank.registry import build_pre_ranker
from models.rank.registry import BuiltRanker
from models.rank.rows import Rows
from models.rank.trainer import predict
from tests.models.rank.small_rows import small_rows


@dataclass(frozen=True)
class Case:
    """A pre-ranker of towers before and after its training."""

    built: BuiltRanker
    trained: PreRanker


@pytest.fixture(scope="module")
def test_rows() -> Rows:
    return small_rows(1000, 2)


@pytest.fixture(scope="module", params=["three_tower", "two_tower"])
def case(request: pytest.FixtureRequest) -> Case:
    built = build_pre_ranker(request.param)
    trained = built.fit(small_rows(1000, 0), small_rows(1000, 1), seed=1)
    assert isinstance(trained, PreRanker)
    return Case(built, trained)


def test_cached_towers_score_as_the_network_does_row_by_row(case: Case, test_rows: Rows) -> None:
    expected = predict(case.trained.network.module, test_rows)
    np.testing.assert_allclose(case.trained.logits(test_rows), expected, rtol=1e-4, atol=1e-5)
    assert expected.shape == (len(test_rows), 1)


def test_it_is_better_than_chance_and_the_third_tower_reads_features_of_pairs(
    case: Case, test_rows: Rows
) -> None:
    label = test_rows.label[:, 0]
    area = metrics.auc(label, case.trained.logits(test_rows)[:, 0])
    assert area > 0.65
    shuffled = replace(
        test_rows, pairs={"price": np.random.default_rng(0).permutation(test_rows.pairs["price"])}
    )
    without = metrics.auc(label, case.trained.logits(shuffled)[:, 0])
    assert (without < area - 0.01) if case.built.kind == "three_tower" else (without == area)


def test_each_tower_reads_what_is_kept_a_query_an_item_or_a_pair(case: Case) -> None:
    rows = small_rows()
    assert set(case.trained.parts.user) == set(rows.queries)
    assert set(case.trained.parts.item) == set(rows.items)
    assert case.trained.parts.cross == ("price",)
    assert case.trained.tasks == ("watched",)


def test_state_is_all_that_was_learned(case: Case, test_rows: Rows) -> None:
    state = {name: value.copy() for name, value in case.trained.state.items()}
    assert all(value.dtype != object for value in state.values())
    restored = case.built.restore(state)
    np.testing.assert_array_equal(restored.logits(test_rows), case.trained.logits(test_rows))
    assert restored.tasks == case.trained.tasks
    other = build_pre_ranker(case.built.kind, {"output_dim": 7})
    with pytest.raises(ValueError, match="other sizes"):
        other.restore(state)


def test_every_parameter_gets_gradient(case: Case, test_rows: Rows) -> None:
    module = case.trained.network.module
    module.zero_grad()
    module(test_rows.batch(np.arange(256))).square().sum().backward()
    for name, weight in module.named_parameters():
        if weight.numel():  # the cross tower has no symbolic feature here
            assert weight.grad is not None, name
            assert weight.grad.abs().max() > 0, name


def test_rows_with_other_features_are_refused(case: Case, test_rows: Rows) -> None:
    with pytest.raises(ValueError, match="other features"):
        case.trained.logits(replace(test_rows, schema=FeatureSchema(())))


def test_towers_without_features_are_refused() -> None:
    rows = replace(small_rows(), queries={})
    with pytest.raises(ValueError, match="needs features of users"):
        build_pre_ranker("three_tower").fit(rows, rows, seed=0)
