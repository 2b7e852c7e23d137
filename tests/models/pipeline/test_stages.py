"""Candidates that ranking had to choose from and did not publish; who is a newcomer."""

import numpy as np
from numpy.typing import NDArray

from models.candidates import Candidates
from models.evaluation.sampling import with_queries
from models.evaluation.split import Split
from models.merge import fit_weights
from models.pipeline.config import PipelineConfig
from models.pipeline.stages import fit_merge, newcomers_until, rejected
from models.targets import Targets
from tests.models.histories import queries_of


def of(*items: list[int]) -> Candidates:
    """Lists with scores that nobody reads."""
    item = np.array(items, dtype=np.int32)
    return Candidates(item, np.where(item < 0, -np.inf, 1.0).astype(np.float32))


def test_rejected_is_the_pool_without_what_is_published_list_by_list() -> None:
    pool = of([4, 1, 2], [4, 3, 0])
    left = rejected(pool, of([1, 2], [4, -1]))  # a list shorter than the others
    assert left.item.tolist() == [[4, -1, -1], [-1, 3, 0]]
    assert np.isfinite(left.score).tolist() == (left.item >= 0).tolist()


def split_of(n_events: int, is_taste: NDArray[np.bool_]) -> tuple[Split, dict[str, Candidates]]:
    """Users with 0 to n - 1 ratings, and two channels' candidates: one of the two has the target first.

    Taste, all channels but that for newcomers, has it where ``is_taste``.
    """
    rng, n_users, n_items = np.random.default_rng(3), len(is_taste), 100
    histories = [rng.choice(60, n, replace=False).tolist() for n in range(n_events)]
    queries = queries_of([histories[user % n_events] for user in range(n_users)], n_items)
    target = rng.integers(60, n_items, n_users).astype(np.int32)
    other = (target - 60 + 1) % 40 + 60
    taste, first = np.where(is_taste, target, other), np.where(is_taste, other, target)
    score = np.ones((n_users, 1), dtype=np.float32)
    targets = Targets(np.arange(n_users + 1), target)
    split = Split("rolling", queries.log, queries, targets, np.arange(n_items, dtype=np.int32))
    found = {"popular": taste, "item_cf": taste, "first_session": first}
    return split, {name: Candidates(item[:, None].astype(np.int32), score) for name, item in found.items()}


def fitted_until(is_taste: NDArray[np.bool_], **settings: object) -> int | None:
    split, recalled = split_of(10, is_taste)
    config = PipelineConfig.model_validate({"recall": {"channels": [*recalled]}, **settings})
    return fit_merge(config, recalled, split).newcomers_until


def test_who_is_a_newcomer_is_chosen_on_the_holdout_where_that_is_sure() -> None:
    n_ratings = np.arange(2000) % 10
    assert fitted_until(n_ratings >= 4) == 4
    assert fitted_until(n_ratings >= 1) == 1
    assert fitted_until(n_ratings >= 4, merge={"newcomers_until": 3}) is None
    assert fitted_until(n_ratings >= 10) is None
    # Where the merge has two channels before the one for newcomers, its target comes second, at .63.
    draws = np.random.default_rng(0).random(2000)
    assert fitted_until(draws < 0.27, merge={"method": "equal"}) is None  # as good: a difference is chance
    assert fitted_until(draws < 0.40, merge={"method": "equal"}) == 1
    assert fitted_until(n_ratings >= 4, objective="next") is None
    assert fitted_until(n_ratings[:50] >= 4) is None  # too few to tell


def test_the_setting_is_the_most_that_a_newcomer_has_rated() -> None:
    config = PipelineConfig()
    assert newcomers_until(config, None) == 10
    assert newcomers_until(config, 4) == 4
    three = config.but(merge=config.merge.but(newcomers_until=3))
    assert newcomers_until(three, 4) == 3
    assert newcomers_until(config.but(objective="next"), 4) == 1


def test_the_weights_are_those_of_users_who_are_no_newcomers() -> None:
    # For newcomers one channel is right, for all others another.
    is_regular = np.arange(3000) % 15 >= 10
    split, recalled = split_of(15, is_regular)
    config = PipelineConfig.model_validate({"recall": {"channels": [*recalled]}})
    weights = fit_merge(config, recalled, split).weights.sum(axis=1)
    assert weights[[0, 1]].sum() > 5 * weights[2]
    rows = np.flatnonzero(is_regular)
    alone = with_queries(split, rows)
    lists = {name: found.take(rows) for name, found in recalled.items()}
    targets = alone.targets
    np.testing.assert_array_equal(
        fit_merge(config, recalled, split).weights,
        fit_weights(lists, alone.queries, targets.indptr, targets.item, config.merge),
    )
