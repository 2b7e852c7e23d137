"""UserCF against loops over users and items."""

import numpy as np
import pytest

from models.dataset import queries_at
from models.history import decayed_history
from models.recall.user_cf import UserCF, UserCFConfig
from tests.models.recall.small_logs import small_log


def slow_scores(config: UserCFConfig, seed: int) -> np.ndarray:
    log = small_log(seed)
    rated = decayed_history(queries_at(log)).toarray() > 0
    history = decayed_history(queries_at(log), config.decay).toarray()
    recent = decayed_history(queries_at(log), config.neighbour_decay, config.newest).toarray()
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
    [UserCFConfig(), UserCFConfig(n_neighbours=3, newest=4, decay=2.0, neighbour_decay=1.0)],
)
def test_user_cf_is_that_of_loops(config: UserCFConfig) -> None:
    log = small_log(1)
    found = UserCF(config).fit(log).recommend(queries_at(log), log.n_items, filter_seen=False)
    expected = slow_scores(config, 1)
    best = -np.sort(-expected, axis=1)
    np.testing.assert_allclose(np.where(found.item < 0, 0, found.score), best, rtol=1e-4, atol=1e-6)
    taken = np.take_along_axis(expected, np.maximum(found.item, 0), axis=1)
    np.testing.assert_allclose(np.where(found.item < 0, 0, taken), best, rtol=1e-4, atol=1e-6)
