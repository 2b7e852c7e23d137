"""Bloom filters: nothing that was put in is missed, and others are taken for it as often as is wanted."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import bloom
from models.bloom import NOTHING, BloomFilters
from models.dataset import Ints

N_ITEMS = 4_000


def pairs(n_users: int, n: int, seed: int = 0) -> tuple[Ints, Ints]:
    """Distinct pairs of every other user and n items, sorted."""
    rng = np.random.default_rng(seed)
    items = np.sort(np.argpartition(rng.random((n_users, N_ITEMS)), n, axis=1)[:, :n], axis=1)
    return np.repeat(np.arange(n_users, dtype=np.int32) * 2, n), items.ravel().astype(np.int32)


@given(st.sets(st.tuples(st.integers(0, 30), st.integers(0, 200)), max_size=300), st.floats(1e-6, 0.5))
def test_nothing_that_was_put_in_is_missed(held: set[tuple[int, int]], rate: float) -> None:
    user, item = np.array(sorted(held), dtype=np.int32).reshape(-1, 2).T
    filters = bloom.build(user, item, rate)
    assert filters.may_hold(user, item).all()
    others = np.setdiff1d(np.arange(32, dtype=np.int32), user)
    assert not filters.may_hold(others, np.zeros_like(others)).any()


def simulated(n: int, n_bits: int, n_hashes: int, trials: int = 100_000) -> float:
    """The fraction of filters of n items, of random bits, that hold one more item of random bits."""
    rng = np.random.default_rng(n * 1_000 + n_bits)
    hit = np.zeros((trials, n_bits), dtype=bool)
    np.put_along_axis(hit, rng.integers(n_bits, size=(trials, n * n_hashes)), True, axis=1)
    return float(np.take_along_axis(hit, rng.integers(n_bits, size=(trials, n_hashes)), axis=1).all(1).mean())


@pytest.mark.parametrize(("n", "n_bits", "n_hashes"), [(1, 3, 2), (1, 8, 4), (3, 12, 3), (9, 40, 2)])
def test_the_rate_is_that_of_random_bits(n: int, n_bits: int, n_hashes: int) -> None:
    (rate,) = bloom.false_positive_rate(n, np.array([n_bits]), n_hashes)
    assert rate == pytest.approx(simulated(n, n_bits, n_hashes), abs=4 * math.sqrt(rate / 100_000))


def test_the_rate_by_counting_all_cases() -> None:
    """Filters of 3 bits, of which each of 2 items has 2, and then one more item."""
    cases = list(itertools.product(range(3), repeat=6))
    wrong = sum(set(case[4:]) <= set(case[:4]) for case in cases)
    (rate,) = bloom.false_positive_rate(2, np.array([3]), 2)
    assert rate == pytest.approx(wrong / len(cases), rel=1e-12)


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.01, 0.001, 1e-6])
def test_every_size_has_the_rate_and_few_bits(rate: float) -> None:
    for n in (1, 2, 3, 4, 5, 8, 13, 50, 700, 20_000):
        n_bits, n_hashes = bloom.design(n, rate)
        (expected,) = bloom.false_positive_rate(n, np.array([n_bits]), n_hashes)
        assert expected == pytest.approx(rate, rel=0.06)
        least = -n * math.log(rate) / math.log(2) ** 2
        assert n_bits <= 1.05 * least + (5 if n > 3 else 15)


@pytest.mark.parametrize(("n_users", "n"), [(3_000, 1), (1_000, 10), (300, 70)])
def test_the_measured_rate_is_near_the_one_that_is_wanted(n_users: int, n: int) -> None:
    user, item = pairs(n_users, n)
    filters = bloom.build(user, item, 0.05)
    n_probes = 300_000 // n_users
    wrong, n_probed = bloom.false_positives(filters, user, item, N_ITEMS, n_probes, seed=0)
    assert 0.97 < n_probed / (n_users * n_probes) <= 1
    assert wrong / n_probed == pytest.approx(0.05, rel=0.1)


def test_measured_by_hand() -> None:
    user, item = pairs(50, 10)
    filters = bloom.build(user, item, 0.3)
    everything = np.arange(N_ITEMS, dtype=np.int32)
    wrong = sum(
        np.setdiff1d(everything[filters.may_hold(np.full(N_ITEMS, one), everything)], item[user == one]).size
        for one in np.unique(user)
    )
    exact = wrong / (50 * (N_ITEMS - 10))
    found, n_probed = bloom.false_positives(filters, user, item, N_ITEMS, 4_000, seed=1)
    assert found / n_probed == pytest.approx(exact, rel=0.02)


def test_filters_of_groups_of_users_are_joined() -> None:
    user, item = pairs(40, 7)
    first = user < 30
    parts = [bloom.build(user[part], item[part], 0.01).columns for part in (first, ~first)]
    joined = BloomFilters.of({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    for one, other in zip(joined, bloom.build(user, item, 0.01), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_filters_nothing_is_held() -> None:
    some = np.arange(3, dtype=np.int32)
    assert not NOTHING.may_hold(some, some).any()
    assert bloom.false_positives(NOTHING, some[:0], some[:0], 5, 10, 0) == (0, 0)
