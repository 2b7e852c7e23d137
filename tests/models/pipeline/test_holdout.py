"""The newest part of a log that is held back."""

import numpy as np
import pytest

from models.dataset import DAY, first_ratings
from models.evaluation.visits import VISIT_GAP
from models.pipeline.holdout import HoldoutConfig, holdout
from tests.models.evaluation.logs import random_log


@pytest.mark.parametrize("objective", ["daily", "visit", "next"])
def test_a_log_of_films_rated_again_and_again_holds_back_what_it_can(objective: str) -> None:
    log = random_log(0, "2000-10-01", "2003-03-01", n_users=2, n_items=2, n_events=200)
    assert first_ratings(log).sum() <= 4
    split = holdout(log, objective, HoldoutConfig())
    assert split is None or split.train.n_events < log.n_events


@pytest.mark.parametrize("min_targets", [1, 20, 100_000])
def test_the_newest_days_hold_as_many_first_ratings_as_are_wanted(min_targets: int) -> None:
    log = random_log(1, "2000-10-01", "2001-03-01", n_users=9, n_items=20, n_events=300)
    config = HoldoutConfig(min_targets=min_targets)
    split = holdout(log, "daily", config)
    assert split is not None
    newest_first = np.sort(log.at[first_ratings(log)])[::-1]
    wanted = min(min_targets, int(config.max_fraction * log.n_events), len(newest_first))
    assert split.train.as_of == newest_first[wanted - 1] // DAY * DAY
    assert split.queries.log.as_of == (newest_first[0] // DAY + 1) * DAY


def test_the_query_of_a_visit_has_the_time_and_history_of_its_beginning() -> None:
    log = random_log(1, "2000-10-01", "2001-03-01", n_users=9, n_items=50, n_events=300)
    split = holdout(log, "visit", HoldoutConfig(max_fraction=0.3))
    assert split is not None
    queries, train = split.queries, split.train
    assert train.n_events == np.count_nonzero(log.at < train.as_of)
    assert 0.65 * log.n_events < train.n_events < 0.75 * log.n_events
    assert (queries.at >= train.as_of).all()
    first = queries.end  # the row of the log that the visit begins with
    np.testing.assert_array_equal(queries.at, queries.log.at[first])
    assert (queries.at - queries.log.at[first - 1] > VISIT_GAP).all()
    np.testing.assert_array_equal(queries.log.user_idx[first - 1], queries.user_idx)
