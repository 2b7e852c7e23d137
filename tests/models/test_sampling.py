"""A cap on the ratings of too-active users, and numbers evenly spread."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.dataset import Dataset
from models.sampling import cap_active_users, spread


def log_of(counts: list[int]) -> Dataset:
    user = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    item = np.arange(len(user), dtype=np.int32)
    return Dataset(
        user, item, np.ones(len(user), np.float32), np.arange(len(user)), len(counts), len(user), len(user)
    )


@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=6),
    limit=st.integers(1, 8),
    seed=st.integers(0, 3),
)
def test_nobody_has_more_than_the_cap_and_few_ratings_stay(counts: list[int], limit: int, seed: int) -> None:
    log = log_of(counts)
    capped = cap_active_users(log, limit, seed)
    assert np.diff(capped.indptr).tolist() == [min(count, limit) for count in counts]
    assert set(capped.item_idx) <= set(log.item_idx)
    assert (np.diff(capped.at) > 0).all()
    again = cap_active_users(log, limit, seed)
    assert (capped.item_idx == again.item_idx).all()


def test_every_rating_is_as_likely_to_be_drawn() -> None:
    drawn = np.zeros(10)
    for seed in range(2_000):
        drawn[cap_active_users(log_of([10]), 3, seed).item_idx] += 1
    # 600 expected of each; five standard deviations of a binomial are about 100.
    assert (np.abs(drawn - 600) < 105).all()


def test_users_below_the_cap_keep_all_while_others_are_drawn() -> None:
    log = log_of([3, 9, 0, 4, 20])
    capped = cap_active_users(log, 4, seed=1)
    assert capped.item_idx[:3].tolist() == [0, 1, 2]
    assert capped.item_idx[7:11].tolist() == [12, 13, 14, 15]
    assert cap_active_users(log, 20) is log


@given(total=st.integers(0, 300), n=st.integers(1, 50))
def test_spread_numbers_are_even_and_few(total: int, n: int) -> None:
    numbers = spread(total, n)
    assert len(numbers) == min(total, n)
    if total:
        assert numbers[0] == 0
        assert n == 1 or numbers[-1] == total - 1
        assert np.ptp(np.diff(numbers)) <= 1 if len(numbers) > 1 else True
