"""The newest part of a log that is held back."""

import numpy as np
import pytest

from models.dataset import DAY, first_ratings
from models.pipeline.holdout import HoldoutConfig, holdout
from tests.models.evaluation.logs import random_log


@pytest.mark.parametrize("objective", ["daily", "next"])
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
