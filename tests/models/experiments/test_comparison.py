"""Differences of arms: against closed forms, regression, and simulated experiments with known truth."""

import numpy as np
import pytest
from scipy import stats

from models.experiments.comparison import Outcomes, compare, sample_ratio, watched_fraction

BETTER, BASE = 0.13, 0.10


def simulated(seed: int, difference: float, n_users: int = 4_000) -> Outcomes:
    """An experiment whose users differ in how much they watch, before as during it."""
    rng = np.random.default_rng(seed)
    arm = rng.integers(2, size=n_users).astype(np.int32)
    taste = rng.gamma(2.0, 0.5, n_users)
    n_exposures = 1.0 + rng.poisson(9, n_users)
    probability = np.clip((BASE + difference * arm) * taste, 0, 1)
    n_watched = rng.binomial(n_exposures.astype(int), probability).astype(np.float64)
    return Outcomes(arm, n_exposures, n_watched, np.log1p(rng.poisson(20 * taste)))


def one_each(seed: int) -> Outcomes:
    """Users with one exposure each."""
    rng = np.random.default_rng(seed)
    arm, before = rng.integers(2, size=500).astype(np.int32), rng.normal(size=500)
    watched = (rng.random(500) < 0.2 + 0.1 * arm + 0.1 * np.clip(before, -1, 1)).astype(np.float64)
    return Outcomes(arm, np.ones(500), watched, before)


def test_with_one_exposure_each_it_is_the_test_of_welch() -> None:
    seen = one_each(0)
    found = compare(seen, 1, 0).difference
    treated, control = (seen.n_watched[seen.arm == number] for number in (1, 0))
    welch = stats.ttest_ind(treated, control, equal_var=False)
    assert found.value == pytest.approx(treated.mean() - control.mean())
    assert found.value / found.standard_error == pytest.approx(welch.statistic)
    low, high = stats.norm.interval(0.95, found.value, found.standard_error)
    assert found.interval == pytest.approx((low, high))
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(welch.statistic)))


def test_cuped_is_the_regression_on_arm_and_what_was_before() -> None:
    seen = one_each(1)
    columns = np.column_stack([np.ones(500), seen.arm, seen.before])
    coefficients, *_ = np.linalg.lstsq(columns, seen.n_watched, rcond=None)
    found = compare(seen, 1, 0)
    assert found.adjusted.value == pytest.approx(coefficients[1])
    assert found.adjusted.standard_error < found.difference.standard_error


def test_the_error_of_a_fraction_is_that_of_resampled_users() -> None:
    seen = simulated(2, 0.0, 500)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(seen.arm), (2_000, len(seen.arm)))
    mask = seen.arm[drawn] == 0
    sums = [np.where(mask, values[drawn], 0).sum(axis=1) for values in (seen.n_watched, seen.n_exposures)]
    found = watched_fraction(seen, 0)
    assert found.value == seen.n_watched[seen.arm == 0].sum() / seen.n_exposures[seen.arm == 0].sum()
    assert found.standard_error == pytest.approx(np.std(sums[0] / sums[1]), rel=0.1)


def test_a_better_arm_is_found_and_an_equal_one_is_not() -> None:
    found = [compare(simulated(seed, BETTER - BASE), 1, 0).adjusted.p_value < 0.05 for seed in range(20)]
    assert sum(found) >= 19
    for begin in (0, 20, 40):
        equal = [
            compare(simulated(seed, 0.0), 1, 0).adjusted.p_value < 0.05 for seed in range(begin, begin + 20)
        ]
        assert sum(equal) <= 2


def test_intervals_hold_the_true_difference_and_cuped_makes_them_narrower() -> None:
    found = [compare(simulated(seed, 0.02, 1_000), 1, 0) for seed in range(500)]
    for name in ("difference", "adjusted"):
        intervals = np.array([getattr(of, name).interval for of in found])
        inside = (intervals[:, 0] <= 0.02) & (intervals[:, 1] >= 0.02)
        assert 0.92 <= inside.mean() <= 0.98
    widths = [of.adjusted.standard_error / of.difference.standard_error for of in found]
    assert np.mean(widths) < 0.9


def test_four_of_five_experiments_find_the_detectable_difference() -> None:
    detectable = np.mean([compare(simulated(seed, 0.0, 1_000), 1, 0).detectable for seed in range(50)])
    found = [compare(simulated(seed, detectable, 1_000), 1, 0).adjusted.p_value < 0.05 for seed in range(300)]
    assert 0.7 <= np.mean(found) <= 0.88


def test_nothing_known_from_before_changes_nothing() -> None:
    seen = simulated(3, 0.0, 200)
    alike = Outcomes(seen.arm, seen.n_exposures, seen.n_watched, np.zeros(200))
    found = compare(alike, 1, 0)
    assert found.adjusted.value == found.difference.value
    assert found.adjusted.standard_error == pytest.approx(found.difference.standard_error)


def test_users_of_arms_are_held_against_their_fractions() -> None:
    statistic = (60 - 50) ** 2 / 50 * 2
    assert sample_ratio([60, 40], [0.2, 0.2]) == pytest.approx(stats.chi2.sf(statistic, 1))
    assert sample_ratio([200, 100], [0.5, 0.25]) == 1
    assert sample_ratio([5_300, 4_700], [0.5, 0.5]) < 0.001
