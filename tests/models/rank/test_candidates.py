"""Pools of candidates, and which of them are learned from."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.dataset import Dataset, queries_at
from models.features.compute import PastIndex
from models.rank.candidates import (
    MERGED,
    TASKS,
    Pool,
    Sampling,
    inverse_popularity,
    is_target,
    sample,
    task_labels,
)
from tests.models.evaluation.logs import answers, lists, random_lists, random_log

LOG = random_log(0, "2001-01-01", "2001-03-01", n_users=6, n_items=12, n_events=100)


def pool_of(merged: list[list[int]], **channels: list[list[int]]) -> Pool:
    queries = queries_at(LOG, users=np.arange(len(merged), dtype=np.int32))
    return Pool(queries, lists(merged), {name: lists(rows) for name, rows in channels.items()})


def test_pairs_know_rank_and_score_in_every_list() -> None:
    pool = pool_of([[3, 1, 2], [5, -1, -1]], a=[[2, 3, -1], [-1, -1, -1]], b=[[7, 8, 9], [5, 6, 7]])
    pairs = pool.pairs(PastIndex(LOG), pool.merged.item >= 0)
    assert list(pool.lists) == ["a", "b", MERGED]
    assert pairs.query.tolist() == [0, 0, 0, 1]
    assert pairs.item.tolist() == [3, 1, 2, 5]
    nan = np.nan
    np.testing.assert_array_equal(pairs.rank, [[2, nan, 1], [nan, nan, 2], [1, nan, 3], [nan, 1, 1]])
    np.testing.assert_array_equal(pairs.score, 1 - pairs.rank)  # the lists' scores fall from 0 by 1
    np.testing.assert_array_equal(pairs.best, [[0, 0, 0], [nan, 0, 0]])


def test_a_part_of_a_pool_has_the_same_pairs() -> None:
    pool = pool_of([[3, 1], [5, 2], [4, 0]], a=[[1, 3], [2, -1], [0, 9]])
    part = pool.where(np.array([0, 2]))
    whole, some = (p.pairs(PastIndex(LOG), p.merged.item >= 0) for p in (pool, part))
    sampled = whole.query != 1
    np.testing.assert_array_equal(some.item, whole.item[sampled])
    np.testing.assert_array_equal(some.rank, whole.rank[sampled])
    assert part.queries.user_idx.tolist() == [0, 2]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), rate=st.sampled_from([1e-9, 0.3, 1.0]))
def test_all_targets_are_sampled_and_a_fraction_of_the_others(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    targets = answers([rng.permutation(12)[: rng.integers(1, 4)].tolist() for _ in range(6)])
    merged = random_lists(seed, 6, 8, 12)
    pool = Pool(queries_at(LOG), merged, {})
    sampled = sample(pool, targets, Sampling(negative_rate=rate), seed)
    for query, row in enumerate(merged.item):
        wanted = set(targets.item[targets.indptr[query] : targets.indptr[query + 1]].tolist())
        positive = np.isin(row, list(wanted))
        np.testing.assert_array_equal(is_target(merged.item, targets)[query], positive)
        if not positive.any():
            assert not sampled[query].any()
            continue
        assert sampled[query, positive].all()
        assert not sampled[query, row < 0].any()
        if rate != 0.3:
            assert (sampled[query, ~positive & (row >= 0)] == (rate == 1)).all()


def test_the_rate_of_sampled_negatives_is_the_declared_one() -> None:
    log = random_log(0, "2001-01-01", "2001-03-01", n_users=400, n_items=100, n_events=800)
    merged = lists([list(range(90))] * 400)
    sampled = sample(
        Pool(queries_at(log), merged, {}), answers([[0]] * 400), Sampling(negative_rate=0.1), seed=0
    )
    assert sampled[:, 0].all()
    assert abs(sampled[:, 1:].mean() - 0.1) < 0.01  # 35,600 draws: ten deviations


def test_weights_take_a_power_of_popularity_out_of_the_odds() -> None:
    events = 1.0 + np.bincount(LOG.item_idx, minlength=LOG.n_items)
    # Every item is passed over as often; those of more events are watched the more.
    watched = np.round(100 * events**0.7).astype(int)
    item = np.repeat(np.arange(LOG.n_items), watched + 50).astype(np.int32)
    first = np.repeat(np.cumsum(watched + 50) - watched - 50, watched + 50)
    is_watched = np.arange(len(item)) - first < np.repeat(watched, watched + 50)
    weight = inverse_popularity(item, is_watched, LOG, power=0.7)
    assert (weight[~is_watched] == 1).all()
    np.testing.assert_allclose(weight[is_watched].mean(), 1, rtol=1e-5)
    odds = np.bincount(item[is_watched], weight[is_watched]) / 50
    np.testing.assert_allclose(odds, odds.mean(), rtol=0.01)


def test_long_sessions_are_thinned_without_a_change_of_their_odds() -> None:
    log = random_log(0, "2001-01-01", "2001-03-01", n_users=400, n_items=100, n_events=800)
    pool = Pool(queries_at(log), lists([list(range(90))] * 400), {})
    sampling = Sampling(negative_rate=0.5, max_targets=10)
    sampled = sample(pool, answers([list(range(40))] * 399 + [list(range(10))]), sampling, seed=0)
    assert abs(sampled[:-1, :40].mean() - 10 / 40) < 0.02  # 16,000 draws: six deviations
    assert abs(sampled[:-1, 40:].mean() - 10 / 40 * 0.5) < 0.02
    assert sampled[-1, :10].all()


def test_labels_are_of_the_first_rating() -> None:
    columns = (np.array(values) for values in ([0, 0, 0, 1], [3, 4, 3, 3]))
    user, item = (values.astype(np.int32) for values in columns)
    rating, at = np.array([4, 5, 1, 2], dtype=np.float32), np.arange(4)
    log = Dataset(user, item, rating, at, 2, 6, 10)
    watched = np.array([True, True, False, True])
    found = task_labels(watched, np.array([0, 0, 0, 1]), np.array([3, 4, 5, 3]), log)
    nan = np.nan
    assert TASKS == ("watched", "liked", "loved")
    np.testing.assert_array_equal(found, [[1, 1, 0], [1, 1, 1], [0, nan, nan], [1, 0, 0]])
