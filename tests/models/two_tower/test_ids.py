"""Hashed ids: who reads which rows, what collides, and that a model of them lives like any other."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.dataset import DAY, Dataset, queries_at
from models.embeddings.cbow import CbowConfig
from models.recall.two_tower import TwoTower
from models.two_tower.config import TowersConfig, TrainingConfig, TwoTowerConfig
from models.two_tower.ids import collisions, hashed, sharing_of, summands
from models.two_tower.model import Model
from models.two_tower.vocabulary import grow
from tests.models.recall.small_logs import START, small_log
from tests.models.two_tower.circle import accuracy, circle, small
from tests.models.two_tower.test_vocabulary import larger

CUT = START + 70 * DAY
TOWERS = TowersConfig(
    embedding_dim=8, user_id=True, ids="hashed", item_rate=0.5, user_rate=0.5, own_rate=0.5, shared_dim=4
)
CONFIG = TwoTowerConfig(towers=TOWERS, training=TrainingConfig(epochs=2))
MASK = (1 << 64) - 1


def with_ids(log: Dataset, users: np.ndarray, items: np.ndarray) -> Dataset:
    return replace(log, users={**log.users, "id": users}, items={**log.items, "id": items})


@pytest.fixture(scope="module")
def log() -> Dataset:
    log = small_log()
    return with_ids(log, np.arange(40) * 7 + 3, np.arange(50) * 11 + 5)


@pytest.fixture(scope="module")
def fitted(log: Dataset) -> TwoTower:
    return TwoTower(CONFIG).fit(log.before(CUT))


def training_of_nothing(model: TwoTower) -> TwoTower:
    """The channel with steps of no length."""
    rates = {"warm_learning_rate": 1e-30, "warm_id_learning_rate": 1e-30, "warm_replay": 0.0}
    other = TwoTower(model.config.but(training=model.config.training.but(**rates)))
    other.state = model.state
    return other


def splitmix(state: int) -> int:
    """Steele, Lea and Flood 2014, figure 16, on Python's integers."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20), st.integers(1, 1000))
def test_rows_are_found_by_splitmix_of_the_source_id(ids: list[int], n: int) -> None:
    found = hashed(np.array(ids), n, 2)
    for of_id, (first, second) in zip(ids, found.tolist(), strict=True):
        bits = [splitmix((of_id + number * 0x9E3779B97F4A7C15) & MASK) >> 32 for number in (1, 2)]
        assert first == bits[0] * n >> 32
        assert second == (first + 1 + (bits[1] * (n - 1) >> 32)) % n
        assert first != second or n == 1
    np.testing.assert_array_equal(hashed(np.array(ids), n, 1)[:, 0], found[:, 0])


def test_ids_in_a_row_are_spread_evenly() -> None:
    n = 50
    for function in range(2):
        counts = np.bincount(hashed(np.arange(100_000), n, 2)[:, function], minlength=n)
        # Chi squared of 49 degrees of freedom is above 85 in one of a thousand draws.
        assert ((counts - 2000) ** 2 / 2000).sum() < 85


def test_the_most_frequent_ids_have_rows_of_their_own_and_the_others_share(log: Dataset) -> None:
    sharing = sharing_of(log, TOWERS)
    for side, ids, n in (("item", log.item_idx, 50), ("user", log.user_idx, 40)):
        of = sharing[side]
        assert of.n_own == n // 4
        assert of.n_shared == (n / 2 - of.n_own) * 2  # half as long
        events = np.bincount(ids, minlength=n)
        own = of.rows[:, 0] > 0
        assert own.sum() == of.n_own
        assert events[own].min() >= events[~own].max()
        assert len(np.unique(of.rows[own, 0])) == of.n_own
        assert (of.rows[own, 1:] == 0).all()
        assert (of.rows[~own, 1:] > 0).all()
        assert of.rows[:, 1:].max() <= of.n_shared
    assert "user" not in sharing_of(log, TOWERS.but(user_id=False, user_rate=0.05))
    assert sharing_of(log, TowersConfig(user_id=True)) == {}


def test_collisions_are_those_that_pairs_of_ids_say() -> None:
    rows = sharing_of(small_log(n_items=200), TOWERS.but(item_rate=0.2))["item"].rows
    sets = [set(row[row > 0] if row[0] == 0 else [-row[0]]) for row in rows]
    others = [[other for m, other in enumerate(sets) if m != n] for n in range(len(sets))]
    one = np.mean([any(mine & other for other in rest) for mine, rest in zip(sets, others, strict=True)])
    both = np.mean([mine in rest for mine, rest in zip(sets, others, strict=True)])
    assert collisions(rows) == pytest.approx((one, both))
    assert 0 < both < one < 1


def test_sums_are_fitted_as_by_a_dense_solver() -> None:
    rng = np.random.default_rng(0)
    read = np.zeros((300, 40))
    for row in read:
        row[rng.choice(40, 2, replace=False)] = 1
    wanted, weight = rng.normal(size=(300, 5)), rng.exponential(size=300)
    root = np.sqrt(weight)[:, None]
    exact = np.linalg.lstsq(root * read, root * wanted, rcond=None)[0]
    np.testing.assert_allclose(summands(sp.csr_matrix(read), wanted, weight), exact, atol=1e-3)


def test_vectors_are_kept_where_the_rows_can_hold_them(log: Dataset) -> None:
    """Vectors of a plane, and as many shared rows as make collisions rare."""
    config = TOWERS.but(item_rate=0.9, embedding_dim=32, shared_dim=2)
    model = Model.new(log, config, 0)
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(50, 2)) @ rng.normal(size=(2, 32))
    model.towers.start("item_id", plane.astype(np.float32), np.ones(50))
    codes = model.items["item_id"]
    found = model.towers.embedded("item_id", torch.from_numpy(codes)).detach().numpy()
    own = sharing_of(log, config)["item"].rows[:, 0] > 0
    np.testing.assert_array_equal(found[own], plane.astype(np.float32)[own])
    assert ((found - plane) ** 2).sum() < 0.05 * (plane**2).sum()


def test_starting_from_bags_is_nearly_as_good_as_the_bags() -> None:
    log = circle()
    config = small(
        towers=small().towers.but(ids="hashed", item_rate=0.9, shared_dim=8),
        training=TrainingConfig(
            epochs=0, validation_users=0, first_vectors=CbowConfig(embedding_dim=16, epochs=40)
        ),
    )
    assert accuracy(TwoTower(config).fit(log), log) > 0.8


def test_a_table_is_as_large_as_its_rate_says(log: Dataset, fitted: TwoTower) -> None:
    for table, n in (("item_id", 50), ("user_id", 40)):
        own = fitted.state[f"weight.tables.{table}.weight"]
        shared = fitted.state[f"weight.tables.{table}_shared.weight"]
        assert own[1:].size + shared[1:].size == n * 8 / 2
        assert (own[0] == 0).all()
        assert (shared[0] == 0).all()


def test_rows_stay_when_ids_come_in_between_and_new_ids_are_hashed_once_learned(
    log: Dataset, fitted: TwoTower
) -> None:
    rng = np.random.default_rng(0)
    users = np.sort(rng.choice(45, 40, replace=False)).astype(np.int32)
    items = np.sort(rng.choice(60, 50, replace=False)).astype(np.int32)
    user_ids, item_ids = np.arange(45) * 2, np.arange(60) * 2
    bigger = with_ids(larger(log, users, items, 45, 60), user_ids, item_ids)
    model = fitted.copy().grow(users, items, 45, 60)
    before = {name: value for name, value in fitted.state.items() if "tables" in name and "bias" not in name}
    for name, value in before.items():
        np.testing.assert_array_equal(model.state[name], value)
    for side, position in (("user", users), ("item", items)):
        rows = model.state[f"rows.{side}"]
        np.testing.assert_array_equal(rows[position], fitted.state[f"rows.{side}"])
        assert (np.delete(rows, position, axis=0) == 0).all()
    model.update(bigger, np.flatnonzero(bigger.at >= CUT))
    for side, position, ids in (("user", users, user_ids), ("item", items, item_ids)):
        rows = model.state[f"rows.{side}"]
        new = np.setdiff1d(np.arange(len(ids)), position)
        np.testing.assert_array_equal(rows[position], fitted.state[f"rows.{side}"])
        n_shared = len(fitted.state[f"weight.tables.{side}_id_shared.weight"]) - 1
        np.testing.assert_array_equal(rows[new, 1:], 1 + hashed(ids[new], n_shared, 2))
        assert (rows[new, 0] == 0).all()


def test_a_night_gives_rows_of_idle_ids_to_active_ones(log: Dataset, fitted: TwoTower) -> None:
    # Of the users with a row of their own the first three are never seen again, by a log that goes on.
    own = np.flatnonzero(fitted.state["rows.user"][:, 0])
    gone, days = own[:3], 30
    later = log.where(~np.isin(log.user_idx, gone) | (log.at < CUT - days * DAY))
    recent = later.at > later.at.max() - days * DAY
    count = np.bincount(later.user_idx[recent], minlength=40)
    idle = own[count[own] == 0]
    others = np.setdiff1d(np.flatnonzero(count), own)
    heirs = others[np.argsort(-count[others], kind="stable")][: len(idle)]
    model = TwoTower(CONFIG.but(towers=TOWERS.but(retire_after=float(days))))
    model.state = dict(fitted.state)
    still = training_of_nothing(model)
    still.warm(later, np.empty(0, dtype=np.int64))
    before, after = fitted.state["rows.user"], still.state["rows.user"]
    assert set(gone) <= set(idle)
    assert len(heirs) > 0
    assert set(np.flatnonzero(after[:, 0])) == set(own) - set(idle[: len(heirs)]) | set(heirs)
    assert set(after[heirs, 0]) == set(before[idle, 0][: len(heirs)])
    # Who leaves a row shares others, found by the hashes; who gets one keeps its vector.
    n_shared = len(fitted.state["weight.tables.user_id_shared.weight"]) - 1
    left = idle[: len(heirs)]
    np.testing.assert_array_equal(after[left, 1:], 1 + hashed(log.users["id"][left], n_shared, 2))
    was, now = (Model.from_state(one.state, one.config.towers).towers for one in (fitted, still))
    codes = torch.from_numpy(heirs + 1)
    torch.testing.assert_close(now.embedded("user_id", codes), was.embedded("user_id", codes))


def test_nothing_new_is_nothing_changed(fitted: TwoTower) -> None:
    grown = grow(fitted.state, np.arange(40, dtype=np.int32), np.arange(50, dtype=np.int32), 40, 50)
    assert grown.keys() == fitted.state.keys()
    for name, value in fitted.state.items():
        np.testing.assert_array_equal(grown[name], value)


def test_rows_depend_on_source_ids_and_not_on_their_order(log: Dataset) -> None:
    renamed = with_ids(log, log.users["id"], log.items["id"] + 10**9)
    mine, other = (sharing_of(one, TOWERS) for one in (log, renamed))
    np.testing.assert_array_equal(mine["user"].rows, other["user"].rows)
    assert (mine["item"].rows[:, 1:] != other["item"].rows[:, 1:]).any()
    np.testing.assert_array_equal(mine["item"].rows[:, 0], other["item"].rows[:, 0])


def test_an_update_moves_the_rows_of_what_was_learned_and_of_negatives_alone(
    log: Dataset, fitted: TwoTower
) -> None:
    config = CONFIG.but(update=CONFIG.update.but(n_negatives=1, replay=0.0))
    model = TwoTower(config)
    model.state = dict(fitted.state)
    row = np.flatnonzero(log.at >= CUT)[-1:]
    report = model.update(log, row)
    for name, value in fitted.state.items():
        if name.startswith(("weight.", "rows.")):
            table = name.removeprefix("weight.tables.").removesuffix(".weight")
            moved = np.flatnonzero((model.state[name] != value).reshape(len(value), -1).any(axis=1))
            assert np.isin(moved, report.rows.get(table, [])).all(), name
            assert 0 not in moved
    user_rows = fitted.state["rows.user"][log.user_idx[row[0]]]
    assert set(report.rows["user_id"]) == set(user_rows[:1]) - {0}
    assert set(report.rows["user_id_shared"]) == set(user_rows[1:]) - {0}
    # Measured are the vectors of all items that read a row that may have moved, not the rows.
    before, after = (TwoTower(config), TwoTower(config))
    before.state, after.state = fitted.state, model.state
    change = after.tables().item_embeddings[:, :-1] - before.tables().item_embeddings[:, :-1]
    assert report.shift_max == pytest.approx(np.linalg.norm(change, axis=1).max(), rel=1e-4)


def test_lists_are_those_of_the_vectors_that_ids_add_up_to(log: Dataset, fitted: TwoTower) -> None:
    """A dense model with a row an id, each set to the id's own row or the mapped sum of its shared ones."""
    dense = TwoTower(CONFIG.but(towers=TowersConfig(embedding_dim=8, user_id=True)))
    state = {name: value for name, value in fitted.state.items() if "_shared" not in name}
    for table, side in (("item_id", "item"), ("user_id", "user")):
        rows = state.pop(f"rows.{side}")
        own = fitted.state[f"weight.tables.{table}.weight"]
        shared = fitted.state[f"weight.tables.{table}_shared.weight"]
        mapped = shared[rows[:, 1:]].sum(axis=1) @ fitted.state[f"weight.maps.{table}_shared.weight"].T
        state[f"weight.tables.{table}.weight"] = np.pad(own[rows[:, 0]] + mapped, ((1, 0), (0, 0)))
    dense.state = state
    queries = queries_at(log)
    expected, found = dense.recommend(queries, 10), fitted.recommend(queries, 10)
    np.testing.assert_array_equal(found.item, expected.item)
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-4, atol=1e-5)
