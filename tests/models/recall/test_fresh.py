"""Films with few ratings: the formula against loops, and draws in proportion to it that reach all of them."""

import numpy as np
import pytest

from models.dataset import Dataset, Queries, queries_at
from models.history import decayed_history
from models.kinds import kinds_of_items
from models.recall.fresh import Fresh, FreshConfig, years_since
from tests.models.recall.small_logs import small_log


def with_unrated(seed: int = 0) -> Dataset:
    """A log of 50 films whose every third has no rating."""
    log = small_log(seed)
    return log.where(log.item_idx % 3 != 0)


def oracle(log: Dataset, config: FreshConfig) -> dict[int, dict[int, float]]:
    """The weight of each fresh film that is not seen, by user."""
    kinds = kinds_of_items(log).toarray()
    count = np.bincount(log.item_idx, minlength=log.n_items)
    newness = 0.5 ** (years_since(log) / config.half_life_years)
    prior = kinds.T @ (count + 1)
    prior = prior / prior.sum()
    history = decayed_history(queries_at(log), config.decay, rated=True).toarray()
    weights: dict[int, dict[int, float]] = {}
    for user in range(log.n_users):
        stars = history[user] @ kinds
        taste = (stars + config.smoothing * prior) / (stars.sum() + config.smoothing)
        weights[user] = {}
        for item in np.flatnonzero((count <= config.max_ratings) & (history[user] == 0)):
            weights[user][int(item)] = sum(
                taste[kind]
                * newness[item]
                / newness[(count <= config.max_ratings) & (kinds[:, kind] > 0)].sum()
                for kind in np.flatnonzero(kinds[item])
            )
    return weights


@pytest.mark.parametrize("max_ratings", [0, 5])
def test_without_chance_the_order_is_that_of_the_formula(max_ratings: int) -> None:
    log, config = with_unrated(), FreshConfig(max_ratings=max_ratings, temperature=0.0)
    found = Fresh(config).fit(log).recommend(queries_at(log), log.n_items)
    for user, weights in oracle(log, config).items():
        listed = found.item[user][found.item[user] >= 0].tolist()
        assert set(listed) == weights.keys()
        expected = [np.log(weights[item]) for item in listed]
        np.testing.assert_allclose(found.score[user][: len(listed)], expected, atol=1e-5)
        assert (np.diff(expected) <= 1e-5).all()
    assert set(np.unique(found.item)) >= set(range(0, log.n_items, 3))


def alike(log: Dataset, n: int) -> Queries:
    """Queries of n users with the history of one."""
    query = queries_at(log).rows(5, 6)
    start, end, at = (np.repeat(values, n) for values in (query.start, query.end, query.at))
    return Queries(np.arange(n, dtype=np.int32), at, start, end, log)


def test_films_are_drawn_in_proportion_to_their_weight() -> None:
    log, n = with_unrated(), 4000
    first = Fresh().fit(log).recommend(alike(log, n), 50).item[:, 0]
    weights = oracle(log, FreshConfig())[5]
    for item, weight in weights.items():
        chance = weight / sum(weights.values())
        assert abs((first == item).mean() - chance) < 4 * np.sqrt(chance * (1 - chance) / n)


def test_every_film_without_a_rating_is_high_in_somebodys_list() -> None:
    log = with_unrated(1)
    queries = alike(log, 400)
    unrated = set(range(0, log.n_items, 3))
    drawn, best = (
        set(Fresh(FreshConfig(max_ratings=0, temperature=t)).fit(log).recommend(queries, 50).item[:, :2].flat)
        for t in (1.0, 0.0)
    )
    assert drawn == unrated
    assert len(best) == 2


def test_a_draw_is_of_the_user_and_the_seed() -> None:
    log = with_unrated()
    queries = queries_at(log)
    lists = Fresh().fit(log).recommend(queries, 10).item
    later = Queries(queries.user_idx, queries.at + 86_400, queries.start, queries.end, log)
    np.testing.assert_array_equal(Fresh().fit(log).recommend(later, 10).item, lists)
    assert (Fresh(FreshConfig(seed=1)).fit(log).recommend(queries, 10).item != lists).mean() > 0.5
