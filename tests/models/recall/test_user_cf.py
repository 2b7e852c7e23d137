"""UserCF against loops over users and items."""

import numpy as np
import pytest

from models.dataset import Queries, queries_at
from models.history import decayed_history
from models.recall.user_cf import UserCF, UserCFConfig
from tests.models.recall.small_logs import log_in_order, small_log


def slow_scores(config: UserCFConfig, seed: int) -> np.ndarray:
    log = small_log(seed)
    rated = decayed_history(queries_at(log)).toarray() > 0
    history = decayed_history(queries_at(log), config.decay, config.newest).toarray()
    recent = decayed_history(queries_at(log), config.neighbour_decay, config.neighbour_newest).toarray()
    frequency = np.log(log.n_users / np.maximum(rated.sum(0), 1)) ** 2
    scores = np.zeros((log.n_users, log.n_items))
    for user in range(log.n_users):
        alike = np.zeros(log.n_users)
        for other in range(log.n_users):
            norm = np.sqrt(frequency[rated[other]].sum())
            if other != user and norm > 0:
                alike[other] = (history[user] * rated[other] * frequency).sum() / norm
        for other in np.argsort(-alike, kind="stable")[: config.n_neighbours]:
            scores[user] += alike[other] * recent[other]
    return scores


@pytest.mark.parametrize(
    "config",
    [
        UserCFConfig(),
        UserCFConfig(n_neighbours=3, newest=6, neighbour_newest=4, decay=2.0, neighbour_decay=1.0),
    ],
)
def test_user_cf_is_that_of_loops(config: UserCFConfig) -> None:
    log = small_log(1)
    found = UserCF(config).fit(log).recommend(queries_at(log), log.n_items, filter_seen=False)
    expected = slow_scores(config, 1)
    best = -np.sort(-expected, axis=1)
    np.testing.assert_allclose(np.where(found.item < 0, 0, found.score), best, rtol=1e-4, atol=1e-6)
    taken = np.take_along_axis(expected, np.maximum(found.item, 0), axis=1)
    np.testing.assert_allclose(np.where(found.item < 0, 0, taken), best, rtol=1e-4, atol=1e-6)


def test_popular_items_lead_to_a_sample_of_their_users() -> None:
    # All but the last user rated item 0, and everybody an item of their own.
    item = np.stack([np.zeros(50, dtype=int), np.arange(1, 51)], axis=1).ravel()
    item[-2] = 51
    log = log_in_order(np.repeat(np.arange(50), 2), item, np.ones(100))
    queries = queries_at(log, users=np.arange(5, dtype=np.int32))
    found = UserCF(UserCFConfig(max_raters=8)).fit(log).recommend(queries, 50)
    reached = [set(row[row >= 0].tolist()) for row in found.item]
    # Only the eight users who were drawn are anybody's neighbours, the one who asks left out.
    drawn = set().union(*reached)
    assert len(drawn) == 8
    assert all(items == drawn - {user + 1} for user, items in enumerate(reached))
    others = UserCF(UserCFConfig(max_raters=8, seed=1)).fit(log).recommend(queries, 50)
    assert set(others.item[others.item >= 0].tolist()) != drawn


def test_queries_of_unknown_users_have_neighbours_too() -> None:
    log = small_log(2)
    model = UserCF(UserCFConfig(n_neighbours=1)).fit(log)
    queries = queries_at(log)
    unknown = Queries(np.full(len(queries), -1, dtype=np.int32), queries.at, queries.start, queries.end, log)
    # Whose history is that of a user finds this user first, and all of whose items are seen then.
    with_seen = model.recommend(unknown, 100, filter_seen=False)
    rated = decayed_history(queries).toarray() > 0
    assert all(rated[row, items[items >= 0]].all() for row, items in enumerate(with_seen.item[1:], 1))
