"""The hourly update: frozen really is frozen, and what may learn does."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.dataset import DAY, Dataset, queries_before
from models.recall.two_tower import TwoTower
from models.state import State
from models.two_tower.config import (
    NegativesConfig,
    TowersConfig,
    TrainingConfig,
    TwoTowerConfig,
    UpdateConfig,
)
from models.two_tower.hourly import bounds
from tests.models.recall.small_logs import START, small_log

HOUR = START + 90 * DAY
CONFIGS = {
    "tied": TwoTowerConfig(
        towers=TowersConfig(embedding_dim=16, user_id=True, augmented=True, attributes=True, statistics=True)
    ),
    "own_history": TwoTowerConfig(
        towers=TowersConfig(
            embedding_dim=16, history=("mean", "causal"), blocks=1, tied=False, user_hidden=(16,)
        ),
        negatives=NegativesConfig(uniform=0),
    ),
}


@pytest.fixture(scope="module")
def log() -> Dataset:
    return small_log(n_items=400)


@pytest.fixture(params=sorted(CONFIGS))
def config(request: pytest.FixtureRequest) -> TwoTowerConfig:
    return CONFIGS[request.param].but(update=UpdateConfig(n_negatives=20, batch_size=8, replay=0.3))


@cache
def state_of(towers: TowersConfig, negatives: NegativesConfig, training: TrainingConfig) -> State:
    config = TwoTowerConfig(towers=towers, negatives=negatives, training=training)
    return TwoTower(config).fit(small_log(n_items=400).before(HOUR)).state


def fitted(config: TwoTowerConfig) -> TwoTower:
    """A model trained before the hour, once for all tests."""
    model = TwoTower(config)
    model.state = dict(state_of(config.towers, config.negatives, config.training))
    return model


def parameters(model: TwoTower) -> dict[str, np.ndarray]:
    return {name: value for name, value in model.state.items() if name.startswith("weight.")}


def test_only_the_reported_rows_of_the_id_tables_change(log: Dataset, config: TwoTowerConfig) -> None:
    model = fitted(config)
    before = parameters(model)
    rows = np.flatnonzero(log.at >= HOUR)
    report = model.update(log, rows)
    tables = {f"weight.tables.{name}.weight": changed for name, changed in report.rows.items()}
    assert tables
    for name, value in parameters(model).items():
        changed = np.flatnonzero((value != before[name]).reshape(len(value), -1).any(axis=1))
        assert np.isin(changed, tables.get(name, [])).all(), name
        if name in tables:
            assert len(changed) > 0
            assert 0 not in changed
            assert len(tables[name]) < len(value) - 1
    # The new events' own rows are among them, and they did move.
    array = rows[~np.isin(rows, log.indptr[:-1])]
    moved = (model.state["weight.tables.item_id.weight"] != before["weight.tables.item_id.weight"]).any(
        axis=1
    )
    assert moved[log.item_idx[array] + 1].all()
    if config.towers.user_id:
        assert np.isin(log.user_idx[array] + 1, report.rows["user_id"]).all()


def test_the_report_measures_what_happened(log: Dataset, config: TwoTowerConfig) -> None:
    model = fitted(config)
    before = model.state["weight.tables.item_id.weight"]
    report = model.update(log, np.flatnonzero(log.at >= HOUR))
    changed = report.rows["item_id"]
    shift = np.linalg.norm(model.state["weight.tables.item_id.weight"] - before, axis=1)
    assert report.shift_mean == pytest.approx(shift[changed].mean(), rel=1e-4)
    assert report.shift_max == pytest.approx(shift.max(), rel=1e-4)
    assert report.norm_mean == pytest.approx(np.linalg.norm(before[changed], axis=1).mean(), rel=1e-4)
    assert report.new_after < report.new_before
    assert report.old_after < report.old_before + 0.3


def test_an_item_rises_for_those_who_did_what_its_buyers_did(log: Dataset) -> None:
    config = CONFIGS["tied"].but(update=UpdateConfig(n_negatives=50, learning_rate=0.1))
    model = fitted(config)
    rows = np.flatnonzero(log.at >= HOUR)
    rows = rows[~np.isin(rows, log.indptr[:-1])]
    queries = queries_before(log, rows)

    def mean_rank() -> float:
        found = model.recommend(queries, log.n_items, filter_seen=False).item
        match = found == log.item_idx[rows][:, None]
        return float(np.where(match.any(axis=1), match.argmax(axis=1), log.n_items).mean())

    before = mean_rank()
    model.update(log, rows)
    assert mean_rank() < 0.9 * before


def test_the_order_of_the_rows_handed_over_does_not_matter(log: Dataset, config: TwoTowerConfig) -> None:
    trained = fitted(config)
    rows = np.flatnonzero(log.at >= HOUR)
    one, other = TwoTower(config), TwoTower(config)
    one.state, other.state = trained.state, trained.state
    one.update(log, rows)
    other.update(log, rows[::-1].copy())
    for name, value in one.state.items():
        np.testing.assert_array_equal(value, other.state[name])


def test_later_events_of_the_hour_are_not_seen_by_earlier_ones(log: Dataset) -> None:
    # All but the last step is the same whatever the last event is.
    config = CONFIGS["tied"].but(update=UpdateConfig(n_negatives=20, batch_size=4, replay=0.0))
    rows = np.flatnonzero(log.at >= HOUR)
    rows = rows[np.lexsort((rows, log.at[rows]))][:8]
    trained = fitted(config)
    states = []
    for item in (5, 6):
        items = log.item_idx.copy()
        items[rows[4:]] = item
        model = TwoTower(config)
        model.state = trained.state
        model.update(replace(log, item_idx=items), rows[:4])
        states.append(model.state)
    for name, value in states[0].items():
        if name.startswith("weight."):
            np.testing.assert_array_equal(value, states[1][name])


def test_nothing_new_changes_nothing(log: Dataset, config: TwoTowerConfig) -> None:
    model = fitted(config)
    before = parameters(model)
    report = model.update(log.before(HOUR), np.empty(0, dtype=np.int64))
    for name, value in parameters(model).items():
        np.testing.assert_array_equal(value, before[name])
    assert all(len(rows) == 0 for rows in report.rows.values())
    assert report.new_before == report.new_after == report.shift_max == 0
    assert report.old_before == report.old_after


def test_training_config_is_left_alone(log: Dataset) -> None:
    # A model trained towards the far future still learns the next events by the hour.
    config = CONFIGS["tied"].but(training=TrainingConfig(target="future", epochs=1))
    model = fitted(config)
    report = model.update(log, np.flatnonzero(log.at >= HOUR))
    assert report.new_after < report.new_before


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 10))
def test_hours_are_whole_and_hold_enough_events(hours: list[int], least: int) -> None:
    hour = np.sort(np.array(hours, dtype=np.int64))
    found = bounds(hour, least)
    assert found[0] == 0
    assert found[-1] == len(hour)
    for begin, end in pairwise(found):
        assert end - begin >= min(least, len(hour) - begin)
        assert begin == 0 or hour[begin - 1] != hour[begin]
        # One hour less would have been too few.
        assert (hour[begin:end] != hour[end - 1]).sum() < least


def test_a_night_learns_again_what_the_hours_learned(log: Dataset) -> None:
    # Nothing is drawn at random: no replay, and all items are negatives.
    update = UpdateConfig(n_negatives=0, batch_size=20, replay=0.0)
    night = fitted(CONFIGS["own_history"].but(update=update))
    hours = TwoTower(night.config)
    hours.state = dict(night.state)
    rows = np.flatnonzero(log.at >= HOUR)
    rows = rows[np.argsort(log.at[rows], kind="stable")]
    parts = list(pairwise(bounds(log.at[rows] // 3_600, update.batch_size)))
    assert len(parts) > 2
    for begin, end in parts:
        hours.update(log, rows[begin:end])
    before = parameters(night)
    night.catch_up(log, rows)
    for name, value in parameters(hours).items():
        np.testing.assert_allclose(parameters(night)[name], value, rtol=1e-4, atol=1e-6)
    assert any((value != before[name]).any() for name, value in parameters(night).items())
