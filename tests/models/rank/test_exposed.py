"""Films that were shown, in the training of rankers: simulated lists whose truth is written down."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.candidates import Candidates
from models.dataset import DAY, Ints, Mask, queries_at
from models.exposures import ExposureConfig, ExposureLog
from models.features.schema import Feature, FeatureSchema
from models.rank.candidates import Emphasis, Pool, Sampling, sample
from models.rank.exposed import emphasis, examination, first_rank, fit_positions
from models.rank.gbdt import GbdtConfig, fit_gbdt
from models.rank.rows import Rows
from models.rank.trainer import multi_task_loss
from models.targets import Targets
from tests.models.evaluation.logs import random_log

LOG = random_log(0, "2001-01-01", "2001-03-01", n_users=30, n_items=40, n_events=600)
THETA = 1 / np.arange(1, 11) ** 0.7
"""The truth: who watches a film of a rank if it is wanted."""


def simulated(n: int, seed: int) -> tuple[Ints, Ints, Mask]:
    """rank0, item and outcome of exposures of 40 films, of which those that are wanted more stand first."""
    rng = np.random.default_rng(seed)
    gamma = rng.uniform(0.05, 0.6, 40)
    rank0, item = [], []
    for _ in range(n // 10):
        drawn = rng.choice(40, 10, replace=False)
        order = np.argsort(-(gamma[drawn] + rng.normal(0, 0.2, 10)))
        rank0.append(np.arange(10))
        item.append(drawn[order])
    ranks, items = np.concatenate(rank0).astype(np.int32), np.concatenate(item).astype(np.int32)
    return ranks, items, rng.random(n) < THETA[ranks] * gamma[items]


def test_how_often_each_rank_is_looked_at_is_estimated_though_better_films_stand_first() -> None:
    rank0, item, watched = simulated(60_000, 0)
    found = fit_positions(rank0, item, watched)
    np.testing.assert_allclose(found[:10], THETA, atol=0.05)
    assert (found[10:] == found[9]).all()
    naive = np.array([watched[rank0 == rank].mean() for rank in range(10)])
    assert np.abs(naive / naive[0] - THETA).max() > 0.1, "the quotient of the outcomes would be wrong"


def test_without_an_outcome_or_a_rank_all_ranks_are_alike() -> None:
    nothing = np.zeros(3, dtype=np.int32)
    assert (fit_positions(nothing, nothing, np.zeros(3, dtype=np.bool_)) == 1).all()
    unranked = ExposureLog(LOG.user_idx[:9], LOG.item_idx[:9], LOG.at[:9], np.zeros(9, dtype=np.int32))
    assert (examination(unranked, LOG, 7.0) == 1).all()


def test_a_ranker_finds_the_films_that_are_wanted_where_a_naive_one_finds_those_that_stood_first() -> None:
    rng = np.random.default_rng(1)
    n = 40_000
    is_better = rng.random(n) < 0.5
    first = rng.random(n) < np.where(is_better, 0.2, 0.8)
    gamma, theta = np.where(is_better, 0.5, 0.3), np.where(first, 1.0, 0.3)
    watched = rng.random(n) < gamma * theta
    found = fit_positions(np.where(first, 0, 4).astype(np.int32), is_better.astype(np.int32), watched)
    weight = np.where(watched, 1 / found[np.where(first, 0, 4)], 1.0).astype(np.float32)
    x, number = is_better.astype(np.float32), np.arange(n)
    schema = FeatureSchema((Feature("x", "cross", "numeric"),))
    rows = Rows(schema, number, number, {}, {}, {"x": x}, watched[:, None].astype(np.float32), ("watched",))
    half = number < n // 2
    config = GbdtConfig(num_boost_round=20, min_data_in_leaf=20, bagging_fraction=1.0, feature_fraction=1.0)
    prefers = {}
    for name, train in (("naive", rows), ("weighted", replace(rows, weight=weight))):
        logit = fit_gbdt(train.where(half), train.where(~half), 0, config).logits(rows)[:, 0]
        prefers[name] = logit[is_better].mean() - logit[~is_better].mean()
    assert prefers["naive"] < 0 < prefers["weighted"]


def exposures(seed: int, n: int = 500) -> ExposureLog:
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 30, n), rng.integers(0, 40, n)
    at, rank = rng.integers(LOG.at.min(), LOG.as_of, n), rng.integers(0, 5, n)
    order = np.lexsort((at, user))
    return ExposureLog(
        *(values[order].astype(dtype) for values, dtype in ((user, np.int32), (item, np.int32))),
        at[order].astype(np.int64),
        rank[order].astype(np.int32),
    )


def pool_at(at: int) -> Pool:
    queries = queries_at(LOG.before(at), at)
    item = np.random.default_rng(2).permuted(np.tile(np.arange(40, dtype=np.int32), (30, 1)), axis=1)[:, :25]
    return Pool(queries, Candidates(item, np.zeros(item.shape, dtype=np.float32)), {})


def test_candidates_that_were_shown_and_never_watched_are_found_with_their_first_rank() -> None:
    at, shown = int(np.quantile(LOG.at, 0.6)), exposures(3)
    pool = pool_at(at)
    rank = first_rank(shown, pool.queries, pool.merged.item, 7.0)
    expected = np.full(rank.shape, -1)
    rows = list(zip(shown.user_idx, shown.item_idx, shown.at, shown.rank, strict=True))
    for user, item, moment, found in reversed(rows):
        if at <= moment < at + 7 * DAY:
            expected[user][pool.merged.item[user] == item] = found
    np.testing.assert_array_equal(rank, expected)
    watched = {(user, item) for user, item in zip(LOG.user_idx, LOG.item_idx, strict=True)}
    first = Targets(np.arange(31, dtype=np.int64), pool.merged.item[:, 0].copy())
    found = emphasis(pool, first, LOG, shown, ExposureConfig(source="reported", negative_rate=0.5))
    assert found.negative_rate == 0.5
    assert (found.weight[:, 1:] == 1).all()
    for user, row in enumerate(pool.merged.item):
        ignored = [rank[user, n] >= 0 and (user, item) not in watched for n, item in enumerate(row)]
        assert found.is_ignored[user].tolist() == [False, *ignored[1:]]


def test_what_was_watched_at_a_low_rank_weighs_more_up_to_a_bound() -> None:
    at, shown = int(np.quantile(LOG.at, 0.6)), exposures(4, 20_000)
    later = np.flatnonzero(LOG.at >= at)
    user, begin = np.unique(LOG.user_idx[later], return_index=True)
    pool = pool_at(at).where(user)
    targets = Targets(np.append(begin, len(later)).astype(np.int64), LOG.item_idx[later])
    theta = examination(shown, LOG, 7.0)
    assert theta[1:4].min() < 1
    rank = first_rank(shown, pool.queries, pool.merged.item, 7.0)
    found = emphasis(pool, targets, LOG, shown, ExposureConfig(source="reported", max_weight=1.05))
    heavier = found.weight > 1
    assert heavier.any()
    np.testing.assert_allclose(
        found.weight[heavier], np.minimum(1 / theta[rank[heavier] - 1], 1.05), rtol=1e-6
    )
    assert not (found.is_ignored & heavier).any()


def test_ignored_candidates_are_sampled_at_their_own_rate() -> None:
    pool = pool_at(int(LOG.as_of))
    targets = Targets(np.arange(31, dtype=np.int64), pool.merged.item[:, 0].copy())
    is_ignored = np.zeros(pool.merged.item.shape, dtype=np.bool_)
    is_ignored[:, 1:6] = True
    shown = Emphasis(is_ignored, 1.0, np.ones(is_ignored.shape, dtype=np.float32))
    sampled = sample(pool, targets, Sampling(negative_rate=0.1), 0, shown)
    assert sampled[:, :6].all()
    assert 0.05 < sampled[:, 6:].mean() < 0.15


@pytest.mark.parametrize("weight", [2.0, 3.0])
def test_a_row_of_a_weight_is_as_many_rows_in_the_loss_of_a_network(weight: float) -> None:
    logits, label = torch.tensor([[0.3], [-1.2]]), torch.tensor([[1.0], [0.0]])
    weighted = multi_task_loss(logits, label, torch.tensor([weight, 1.0]))
    repeated = multi_task_loss(logits[[0] * int(weight) + [1]], label[[0] * int(weight) + [1]])
    assert float(weighted) * 2 == pytest.approx(float(repeated) * (int(weight) + 1))
