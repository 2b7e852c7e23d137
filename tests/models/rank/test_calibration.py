"""Calibration against what a simulation, a slow algorithm or arithmetic says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation import metrics
from models.rank.calibration import fit_isotonic, reliability, undo_sampling


def test_a_model_of_sampled_rows_is_right_about_all_of_them_once_corrected() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.01, 0.6, 200_000)
    label = rng.random(len(truth)) < truth
    sampled_rows = label | (rng.random(len(truth)) < 0.1)
    # Bayes' rule: what a perfect model of the kept rows predicts.
    sampled = truth / (truth + (1 - truth) * 0.1)
    assert abs(sampled[sampled_rows].mean() - label[sampled_rows].mean()) < 0.01
    np.testing.assert_allclose(undo_sampling(sampled, 0.1), truth)
    np.testing.assert_array_equal(undo_sampling(truth, 1.0), truth)


def pool_adjacent_violators(label: list[float], weight: list[float]) -> list[float]:
    """By definition: while neighbours are out of order, put them together."""
    blocks = [[y, w, 1] for y, w in zip(label, weight, strict=True)]
    number = 0
    while number + 1 < len(blocks):
        (y, w, n), (z, v, m) = blocks[number : number + 2]
        if y <= z:
            number += 1
        else:
            blocks[number : number + 2] = [[(y * w + z * v) / (w + v), w + v, n + m]]
            number = max(number - 1, 0)
    return [y for y, _, n in blocks for _ in range(n)]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 4)), min_size=1, max_size=30))
def test_isotonic_regression_pools_adjacent_violators(rows: list[tuple[int, int]]) -> None:
    label, count = (np.array(column) for column in zip(*rows, strict=True))
    score = np.arange(len(rows)) / 10
    expected = pool_adjacent_violators(label.tolist(), count.tolist())
    # Rows of one score are a block from the start.
    fitted = fit_isotonic(np.repeat(label, count).astype(np.float32), np.repeat(score, count))
    np.testing.assert_allclose(fitted(score), expected, rtol=1e-5, atol=1e-6)
    assert (np.diff(fitted(np.linspace(-1, 4, 50))) >= 0).all()


def test_equal_scores_get_one_value() -> None:
    fitted = fit_isotonic(np.array([0, 1, 1, 1], dtype=np.float32), np.array([0.5, 0.5, 0.5, 0.9]))
    np.testing.assert_allclose(fitted(np.array([0.5, 0.9, 0.1, 2.0])), [2 / 3, 1, 2 / 3, 1])


def test_calibration_makes_an_overconfident_model_honest_and_keeps_its_order() -> None:
    rng = np.random.default_rng(1)
    logit = rng.normal(size=40_000)
    label = (rng.random(len(logit)) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    bold = 1 / (1 + np.exp(-3 * logit))
    half = len(logit) // 2
    calibrated = fit_isotonic(label[:half], bold[:half])(bold[half:])
    before, after = reliability(label[half:], bold[half:]), reliability(label[half:], calibrated)
    assert before.error > 0.15
    assert after.error < 0.02
    assert (
        metrics.log_loss(label[half:], calibrated).mean() < metrics.log_loss(label[half:], bold[half:]).mean()
    )
    assert metrics.auc(label[half:], calibrated) == pytest.approx(
        metrics.auc(label[half:], bold[half:]), abs=2e-3
    )


def test_reliability_by_hand() -> None:
    probability = np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9])
    label = np.array([0, 1, 0, 0, 1, 1], dtype=np.float32)
    plot = reliability(label, probability, bins=3)
    np.testing.assert_allclose(plot.predicted, [0.15, 0.35, 0.85])
    np.testing.assert_allclose(plot.observed, [0.5, 0, 1])
    np.testing.assert_array_equal(plot.count, [2, 2, 2])
    assert plot.error == pytest.approx((0.35 + 0.35 + 0.15) / 3)


def test_rows_of_equal_probability_are_in_one_bin() -> None:
    plot = reliability(np.array([0, 1, 1, 0], dtype=np.float32), np.array([0.5, 0.5, 0.5, 0.5]))
    np.testing.assert_allclose((plot.predicted, plot.observed, plot.count), [[0.5], [0.5], [4]])
