"""The bootstrap against the normal approximation, explicit resampling, and its promised coverage."""

import numpy as np
import pytest

from models.evaluation.bootstrap import (
    BootstrapConfig,
    percentile_interval,
    resampled_auc,
    resampled_ratios,
    user_weights,
)
from models.evaluation.metrics import auc

CONFIG = BootstrapConfig(resamples=300, seed=7)


def all_weights(n_users: int, config: BootstrapConfig) -> np.ndarray:
    return np.concatenate(list(user_weights(n_users, config)))


def test_every_resample_draws_as_many_users_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = all_weights(50, CONFIG)
    assert weights.shape == (300, 50)
    assert (weights.sum(axis=1) == 50).all()
    # Multinomial: mean 1 and variance 1 - 1/U.
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.05)
    monkeypatch.setattr("models.evaluation.bootstrap.BLOCK", 50 * 7)
    assert all_weights(50, CONFIG).shape == (300, 50)


def test_seeds_decide_the_draws() -> None:
    np.testing.assert_array_equal(all_weights(20, CONFIG), all_weights(20, CONFIG))
    assert (all_weights(20, CONFIG) != all_weights(20, CONFIG.but(seed=8))).any()


def test_interval_of_a_mean_is_the_normal_one_for_many_users() -> None:
    values = np.random.default_rng(0).exponential(size=(4000, 1))
    config = CONFIG.but(resamples=2000)
    low, high = percentile_interval(resampled_ratios(values, np.ones_like(values), config), 0.95)
    half = 1.96 * values.std() / np.sqrt(len(values))
    np.testing.assert_allclose([low[0], high[0]], values.mean() + np.array([-half, half]), atol=0.1 * half)


def test_interval_covers_the_truth_as_often_as_promised_when_users_differ() -> None:
    """Users have a level of their own and many events; an interval over events would cover far less."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        level, events = rng.normal(size=80), rng.integers(1, 30, 80)
        noise = rng.normal(size=80) * np.sqrt(events)
        sums = (level * events + noise)[:, None]
        low, high = percentile_interval(resampled_ratios(sums, events[:, None].astype(float), CONFIG), 0.95)
        covered += low[0] <= 0 <= high[0]
    assert 0.89 <= covered / 300 <= 0.98


def test_pairing_cancels_what_two_models_share() -> None:
    rng = np.random.default_rng(2)
    ease = rng.random((500, 1))
    better = ease + 0.01 + rng.normal(scale=0.01, size=(500, 1))
    one = np.ones_like(ease)
    paired = resampled_ratios(better, one, CONFIG) - resampled_ratios(ease, one, CONFIG)
    low, high = percentile_interval(paired, 0.95)
    assert 0.005 < low[0] < 0.01 < high[0] < 0.015
    alone = percentile_interval(resampled_ratios(better, one, CONFIG), 0.95)
    assert alone[1][0] - alone[0][0] > 5 * (high[0] - low[0])


def test_a_resample_without_events_is_left_out() -> None:
    numerator, denominator = np.zeros((5, 2)), np.zeros((5, 2))
    numerator[0, 0], denominator[0, 0] = 3, 4
    low, high = percentile_interval(resampled_ratios(numerator, denominator, CONFIG), 0.95)
    assert (low[0], high[0]) == (0.75, 0.75)
    assert np.isnan([low[1], high[1]]).all()


def test_no_resamples_no_interval() -> None:
    none = resampled_ratios(np.ones((5, 2)), np.ones((5, 2)), CONFIG.but(resamples=0))
    assert np.isnan(percentile_interval(none, 0.95)).all()


def test_auc_of_a_resample_is_that_of_the_rows_of_its_users_repeated() -> None:
    rng = np.random.default_rng(3)
    user = rng.integers(10, 22, 200).astype(np.int32)
    label, score = rng.integers(0, 2, 200), rng.integers(0, 9, 200).astype(np.float32)
    config = CONFIG.but(resamples=20)
    users, number = np.unique(user, return_inverse=True)
    expected = []
    for weights in all_weights(len(users), config):
        rows = np.repeat(np.arange(200), weights[number])
        expected.append(auc(label[rows], score[rows]))
    np.testing.assert_allclose(resampled_auc(label, score, user, config), expected)
