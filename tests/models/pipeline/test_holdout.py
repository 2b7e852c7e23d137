"""The newest part of a log that is held back."""

from dataclasses import replace

import numpy as np
import pytest

from models.dataset import DAY, Dataset, first_ratings
from models.evaluation.leave_out import next_films
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
def test_the_newest_days_hold_enough_first_ratings_of_returning_users(
    min_targets: int,
) -> None:
    log = with_newcomers(random_log(1, "2000-10-01", "2001-03-01", n_users=9, n_items=20, n_events=300), 30)
    config = HoldoutConfig(min_targets=min_targets)
    split = holdout(log, "daily", config)
    assert split is not None
    newest_first = np.sort(log.at[first_ratings(log)])[::-1]
    at_most = min(int(config.max_fraction * log.n_events), len(newest_first))
    of_nine = np.sort(log.at[first_ratings(log) & (log.user_idx < 9)])[::-1]  # who all began long before
    of_fraction = newest_first[at_most - 1] // DAY
    wanted = of_nine[min_targets - 1] // DAY if min_targets <= len(of_nine) else 0
    assert split.train.as_of == max(wanted, of_fraction) * DAY
    assert split.queries.log.as_of == (newest_first[0] // DAY + 1) * DAY
    assert (split.queries.end > split.queries.start).all()
    assert set(split.queries.user_idx) <= set(range(9))


def with_newcomers(log: Dataset, n: int) -> Dataset:
    """A log of less than n items and n users more, who rate an item each on one of the last days."""
    user = np.arange(log.n_users, log.n_users + n, dtype=np.int32)
    at = log.at.max() - np.arange(n) % 5 * DAY
    columns = (log.user_idx, user), (log.item_idx, user % log.n_items), (log.rating, np.ones(n)), (log.at, at)
    users, items, ratings, times = (np.concatenate(parts).astype(parts[0].dtype) for parts in columns)
    return Dataset(users, items, ratings, times, log.n_users + n, log.n_items, log.as_of)


def test_where_hardly_anybody_comes_back_the_newest_films_are_held_back() -> None:
    week = random_log(1, "2000-10-01", "2000-10-08", n_users=50, n_items=20, n_events=500)
    one_day = replace(week, at=week.at.min() // DAY * DAY + np.arange(week.n_events))
    day_of_user = week.at.min() // DAY * DAY + week.user_idx // 8 * DAY
    once_each = replace(week, at=day_of_user + np.arange(week.n_events), as_of=int(day_of_user.max()) + DAY)
    config = HoldoutConfig()
    for log in (one_day, once_each):
        split, newest = holdout(log, "daily", config), next_films(log, config.next_films)
        assert split is not None
        assert split.digest() == newest.digest()
    of_days = holdout(week, "daily", config)
    assert of_days is not None
    assert of_days.protocol == "rolling"


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
