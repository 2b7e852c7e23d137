"""The newest part of a log that is held back."""

import pytest

from models.dataset import first_ratings
from models.pipeline.holdout import HoldoutConfig, holdout
from tests.models.evaluation.logs import random_log


@pytest.mark.parametrize("objective", ["daily", "next"])
def test_a_log_of_films_rated_again_and_again_holds_back_what_it_can(objective: str) -> None:
    log = random_log(0, "2000-10-01", "2003-03-01", n_users=2, n_items=2, n_events=200)
    assert first_ratings(log).sum() <= 4
    split = holdout(log, objective, HoldoutConfig())
    assert split is None or split.train.n_events < log.n_events
