"""Fusion of tasks by its formulas, and weights that are worth fitting."""

import numpy as np
import pytest

from models.rank.fusion import FORMULAS, FusionConfig, fit_fusion, fuse
from models.rank.validation import metric_value, ranks0

PROBABILITY = np.array([[0.5, 0.2], [0.4, 0.6], [0.1, 0.9]])
QUERY = np.array([0, 0, 1])


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("weighted_sum", [0.5 + 0.4, 0.4 + 1.2, 0.1 + 1.8]),
        ("boosted", [0.5 * 1.4, 0.4 * 2.2, 0.1 * 2.8]),
        ("product", [0.5 * 0.2**2, 0.4 * 0.6**2, 0.1 * 0.9**2]),
        ("reciprocal_rank", [1 / 61 + 2 / 62, 1 / 62 + 2 / 61, 1 / 61 + 2 / 61]),
    ],
)
def test_formulas(formula: str, expected: list[float]) -> None:
    np.testing.assert_allclose(fuse(PROBABILITY, QUERY, FusionConfig(formula, (1.0, 2.0))), expected)


def test_reciprocal_ranks_have_an_exponent_and_an_offset() -> None:
    config = FusionConfig("reciprocal_rank", (1.0, 2.0), exponent=2.0, offset=3.0)
    expected = [1 / (1 + 3) + 2 / (4 + 3), 1 / (4 + 3) + 2 / (1 + 3), 1 / (1 + 3) + 2 / (1 + 3)]
    np.testing.assert_allclose(fuse(PROBABILITY, QUERY, config), expected)


def test_the_main_task_alone_keeps_its_own_order() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random((50, 3))
    query = np.sort(rng.integers(0, 5, 50))
    expected = np.lexsort((-probability[:, 0], query))
    for formula in FORMULAS:
        score = fuse(probability, query, FusionConfig(formula, (1.0, 0.0, 0.0)))
        np.testing.assert_array_equal(np.lexsort((-score, query)), expected)


@pytest.mark.parametrize("formula", sorted(FORMULAS))
def test_weights_are_fitted_to_the_label(formula: str) -> None:
    """The label follows the second task; the third is noise that must not win."""
    rng = np.random.default_rng(1)
    query = np.repeat(np.arange(200), 15)
    signal = rng.random((len(query), 3))
    label = (rng.random(len(query)) < signal[:, 0] * signal[:, 1] ** 4).astype(np.float32)
    config = fit_fusion(signal, label, query, formula)
    assert config.formula == formula
    assert config.weights[0] == 1
    assert config.weights[1] > max(config.weights[2], 0.5)
    fitted = metric_value(label, fuse(signal, query, config), query, "ndcg")
    assert fitted > metric_value(label, signal[:, 0], query, "ndcg") + 0.02
    assert fit_fusion(signal, label, query, formula) == config


@pytest.mark.parametrize("first_ranks_count", [True, False])
def test_exponent_and_offset_are_fitted(first_ranks_count: bool) -> None:
    """Wanted is what either task ranks first, or what both rank well on the whole."""
    rng = np.random.default_rng(2)
    query = np.repeat(np.arange(300), 20)
    signal = rng.random((len(query), 2))
    rank = np.stack([ranks0(column, query) + 1 for column in signal.T], axis=1)
    wanted = 5 / rank.min(axis=1) if first_ranks_count else 60 - rank.sum(axis=1)
    label = (ranks0(wanted + 1e-3 * rng.random(len(query)), query) < 3).astype(np.float32)
    config = fit_fusion(signal, label, query, "reciprocal_rank")
    steep = config.exponent / (1 + config.offset)
    assert (steep > 0.2) if first_ranks_count else (steep < 0.1)
    default = FusionConfig("reciprocal_rank", config.weights)
    reached, before = (metric_value(label, fuse(signal, query, c), query, "ndcg") for c in (config, default))
    assert reached > 0.95
    assert (reached > before + 0.05) if first_ranks_count else (reached >= before)


def test_without_a_positive_row_nothing_is_fitted() -> None:
    label = np.zeros(3, dtype=np.float32)
    assert fit_fusion(PROBABILITY, label, QUERY).weights == (1.0, 0.0)
