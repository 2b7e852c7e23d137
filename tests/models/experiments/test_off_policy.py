"""Off-policy estimates on simulated logs, where the value of the other policy is known."""

import numpy as np
import pytest

from models.experiments.estimates import Estimate
from models.experiments.off_policy import Logged, doubly_robust, ips, snips

N_CONTEXTS, N_FILMS = 5, 4
RNG = np.random.default_rng(7)
REWARD = RNG.uniform(0.05, 0.5, (N_CONTEXTS, N_FILMS))
LOGGING = RNG.dirichlet(np.full(N_FILMS, 3.0), N_CONTEXTS)
POLICY = RNG.dirichlet(np.full(N_FILMS, 1.0), N_CONTEXTS)
TRUTH = float((POLICY * REWARD).sum(axis=1).mean())
PREDICTED = np.clip(REWARD + RNG.normal(0, 0.1, REWARD.shape), 0, 1)
"""Rewards as a poor model predicts them."""

N_SEEDS = 1_000


def simulated(seed: int, n_users: int, per_user: int) -> dict[str, Estimate]:
    """The estimates from a log whose users each have one context, and are shown several films."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(n_users), per_user)
    context = rng.integers(N_CONTEXTS, size=n_users)[user]
    film = (rng.random((len(user), 1)) > LOGGING[context].cumsum(axis=1)).sum(axis=1).clip(max=N_FILMS - 1)
    reward = (rng.random(len(user)) < REWARD[context, film]).astype(np.float64)
    logged = Logged(user, reward, POLICY[context, film] / LOGGING[context, film])
    of_policy = (POLICY * PREDICTED).sum(axis=1)[context]
    return {
        "ips": ips(logged),
        "snips": snips(logged),
        "doubly_robust": doubly_robust(logged, PREDICTED[context, film], of_policy),
    }


@pytest.mark.parametrize(("n_users", "per_user"), [(1_000, 1), (300, 5)])
def test_the_truth_is_in_the_interval_as_often_as_it_should(n_users: int, per_user: int) -> None:
    found = [simulated(seed, n_users, per_user) for seed in range(N_SEEDS)]
    for name in found[0]:
        inside = [of[name].interval[0] <= TRUTH <= of[name].interval[1] for of in found]
        assert 0.93 <= np.mean(inside) <= 0.97, name
        values = np.array([of[name].value for of in found])
        assert abs(values.mean() - TRUTH) < 4 * values.std() / np.sqrt(N_SEEDS)
        assert np.mean([of[name].standard_error for of in found]) == pytest.approx(values.std(), rel=0.1)


def test_a_model_and_normalisation_take_variance_out() -> None:
    found = [simulated(seed, 500, 1) for seed in range(200)]
    spread = {name: np.std([of[name].value for of in found]) for name in found[0]}
    assert spread["doubly_robust"] < spread["ips"]
    assert spread["snips"] < spread["ips"]


def test_of_the_policy_that_was_logged_they_are_the_mean() -> None:
    reward = np.array([1.0, 0.0, 0.0, 1.0, 0.0])
    logged = Logged(np.arange(5), reward, np.ones(5))
    for estimate in (ips(logged), snips(logged), doubly_robust(logged, np.ones(5) / 3, np.ones(5) / 3)):
        assert estimate.value == pytest.approx(0.4)
        assert estimate.standard_error == pytest.approx(reward.std(ddof=1) / np.sqrt(5))
    assert logged.effective_size == 5


def test_effective_size_is_that_of_equal_weights() -> None:
    assert Logged(np.arange(4), np.ones(4), np.array([2.0, 2, 0, 0])).effective_size == 2
    nothing = Logged(np.arange(2), np.ones(2), np.zeros(2))
    assert nothing.effective_size == 0
    assert np.isnan(snips(nothing).value)
