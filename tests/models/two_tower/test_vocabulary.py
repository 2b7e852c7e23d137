"""A model carried over to a larger vocabulary."""

from dataclasses import replace

import numpy as np
import pytest

from models.dataset import Dataset, Queries, queries_at
from models.recall.two_tower import TwoTower
from models.two_tower.config import TowersConfig, TwoTowerConfig
from models.two_tower.inputs import item_columns, schema_of, user_columns
from models.two_tower.vocabulary import grow
from tests.models.recall.small_logs import small_log

TIED = TwoTowerConfig(
    towers=TowersConfig(embedding_dim=8, user_id=True, augmented=True, attributes=True, statistics=True)
)
OWN = TwoTowerConfig(towers=TowersConfig(embedding_dim=8, tied=False))


def larger(
    log: Dataset, user_position: np.ndarray, item_position: np.ndarray, users: int, items: int
) -> Dataset:
    """The same log over a larger vocabulary; new users and items know nothing of themselves."""
    user = {name: np.full(users, -1, dtype=np.int32) for name in log.users}
    for name, codes in user.items():
        codes[user_position] = log.users[name]
    year, genres = np.full(items, -1, dtype=np.int32), np.zeros((items, 6), dtype=bool)
    year[item_position], genres[item_position] = log.items["year"], log.items["genres"]
    return Dataset(
        user_position[log.user_idx].astype(np.int32),
        item_position[log.item_idx].astype(np.int32),
        log.rating,
        log.at,
        users,
        items,
        log.as_of,
        user,
        {"year": year, "genres": genres},
    )


@pytest.fixture(scope="module")
def positions() -> tuple[np.ndarray, np.ndarray]:
    """The positions of the 40 users and 50 items of a small log among 45 and 60: ids stay sorted."""
    rng = np.random.default_rng(0)
    users, items = np.sort(rng.choice(45, 40, replace=False)), np.sort(rng.choice(60, 50, replace=False))
    return users.astype(np.int32), items.astype(np.int32)


@pytest.mark.parametrize("config", [TIED, OWN], ids=["tied", "own_history"])
def test_known_users_get_the_same_answers(
    config: TwoTowerConfig, positions: tuple[np.ndarray, np.ndarray]
) -> None:
    users, items = positions
    log = small_log()
    old = TwoTower(config).fit(log)
    new = TwoTower(config)
    new.state = grow(old.state, users, items, 45, 60)
    bigger = larger(log, users, items, 45, 60)
    # The order of users stays, so the rows of the log do too.
    expected = old.recommend(queries_at(log), 10)
    found = new.recommend(queries_at(bigger, users=users), 10)
    np.testing.assert_array_equal(found.item, np.where(expected.item < 0, -1, items[expected.item]))
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", [TIED, OWN], ids=["tied", "own_history"])
def test_new_items_are_average_and_recommended_from_their_first_event_on(
    config: TwoTowerConfig, positions: tuple[np.ndarray, np.ndarray]
) -> None:
    users, items = positions
    log = small_log()
    model = TwoTower(config).fit(log)
    before = model.state
    model.state = grow(before, users, items, 45, 60)
    has_events = before["has_events"]
    for name in ("item_id", "bias", "history"):
        key = f"weight.tables.{name}.weight"
        if key in before:
            fresh = np.delete(model.state[key][1:], items, axis=0)
            average = before[key][1:][has_events].mean(axis=0)
            np.testing.assert_allclose(fresh, np.tile(average, (10, 1)), rtol=1e-5, atol=1e-7)
            assert (model.state[key][0] == 0).all()
    bigger = larger(log, users, items, 45, 60)
    newcomer = int(np.setdiff1d(np.arange(60), items)[0])
    assert newcomer not in model.recommend(queries_at(bigger), 60).item
    item = bigger.item_idx.copy()
    rows = bigger.indptr[users[5:9] + 1] - 1
    item[rows] = newcomer
    once = Dataset(
        bigger.user_idx, item, bigger.rating, bigger.at, 45, 60, bigger.as_of, bigger.users, bigger.items
    )
    model.update(once, rows)
    assert newcomer in model.recommend(queries_at(once), 60).item


def test_a_new_user_is_served_at_once(positions: tuple[np.ndarray, np.ndarray]) -> None:
    users, items = positions
    log = small_log()
    model = TwoTower(TIED).fit(log)
    model.state = grow(model.state, users, items, 45, 60)
    bigger = larger(log, users, items, 45, 60)
    newcomer = np.setdiff1d(np.arange(45), users)[:1].astype(np.int32)
    start, end = bigger.indptr[users[3]], bigger.indptr[users[3] + 1]
    queries = Queries(newcomer, np.array([bigger.as_of]), start[None], end[None], bigger)
    assert (model.recommend(queries, 10).item >= 0).all()


def test_nothing_new_is_nothing_changed() -> None:
    log = small_log()
    state = TwoTower(TIED).fit(log).state
    grown = grow(state, np.arange(40, dtype=np.int32), np.arange(50, dtype=np.int32), 40, 50)
    assert grown.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(grown[name], value)


def test_labels_that_came_after_training_say_nothing() -> None:
    log = small_log()
    schema = schema_of(log, TIED.towers.but(demographics=True))
    genres = log.items["genres"]
    later = replace(
        log,
        users={**log.users, "gender": np.full(log.n_users, 9, dtype=np.int32)},
        items={**log.items, "genres": np.hstack([genres, np.ones_like(genres[:, :1])])},
    )
    np.testing.assert_array_equal(item_columns(later, schema)["item_genres"], genres)
    assert (user_columns(later, schema)["user_gender"] == 0).all()
    assert (user_columns(log, schema)["user_gender"][:-1] == log.users["gender"] + 1).all()
