"""The contract of channels that learn on: runs over all of the registry, and hashed ids."""

from typing import Any

import numpy as np
import pytest

from models.dataset import DAY, Dataset, queries_at
from models.incremental import Checkpoint
from models.recall.contract import Incremental
from models.recall.registry import is_incremental
from models.state import State
from tests.models.recall.kinds import HASHED, INCREMENTAL, build
from tests.models.recall.small_logs import START, small_log

CUT = START + 70 * DAY


@pytest.fixture(scope="module")
def log() -> Dataset:
    return small_log()


@pytest.fixture(scope="module", params=INCREMENTAL)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def trained(name: str, log: Dataset) -> tuple[Incremental, list[Checkpoint]]:
    """Trained on the log up to the cut, with its checkpoints."""
    checkpoints: list[Checkpoint] = []
    model: Any = build(name)
    return model.fit(log.before(CUT), checkpoint_callback=checkpoints.append), checkpoints


def new_rows(log: Dataset) -> np.ndarray:
    return np.flatnonzero(log.at >= CUT)


def assert_equal(left: State, right: State) -> None:
    assert left.keys() == right.keys()
    for key, value in left.items():
        np.testing.assert_array_equal(value, right[key], err_msg=key)


def differ(left: State, right: State) -> bool:
    return any(left[key].shape != right[key].shape or (left[key] != right[key]).any() for key in left)


def test_there_are_such_channels() -> None:
    assert {"two_tower", "dssm", HASHED} <= set(INCREMENTAL)
    assert not is_incremental("ease")


def test_a_training_goes_on_from_stored_checkpoints(
    name: str, trained: tuple[Incremental, list[Checkpoint]], log: Dataset
) -> None:
    model, checkpoints = trained
    assert 1 <= len(checkpoints) <= model.n_epochs(log)
    stored = Checkpoint.from_arrays(checkpoints[0].to_arrays())
    after: list[int] = []
    other: Any = build(name)
    other.fit(log.before(CUT), lambda checkpoint: after.append(checkpoint.epoch), stored)
    assert after == [checkpoint.epoch for checkpoint in checkpoints[1:]]
    assert_equal(other.state, model.state)


def test_a_copy_learns_on_by_itself(trained: tuple[Incremental, list[Checkpoint]], log: Dataset) -> None:
    model, _ = trained
    before = {key: value.copy() for key, value in model.state.items()}
    rows = new_rows(log)
    copies = [model.copy() for _ in range(3)]
    for copy in copies:
        assert_equal(copy.state, before)
    copies[0].warm(log, rows)
    copies[1].catch_up(log, rows)
    copies[2].update(log, rows)
    for copy in copies:
        assert differ(copy.state, before)
    assert_equal(model.state, before)


def test_an_update_reports_finite_metrics_and_no_drift_where_nothing_is_new(
    trained: tuple[Incremental, list[Checkpoint]], log: Dataset
) -> None:
    model = trained[0].copy()
    report = model.update(log, new_rows(log))
    assert report.metrics()["new_before"] > 0
    assert np.isfinite(list(report.metrics().values())).all()
    again = model.update(log, np.empty(0, dtype=np.int64))
    assert again.drift is None
    assert again.metrics()["shift_max"] == 0


def test_a_reckless_update_is_reported_as_drift(name: str, log: Dataset) -> None:
    model: Any = build(name, settings={"training": {"epochs": 1}, "update": {"learning_rate": 1e4}})
    report = model.fit(log.before(CUT)).update(log, new_rows(log))
    assert report.drift is not None
    assert "at most" in report.drift


def test_users_get_the_same_answers_from_a_grown_model(
    trained: tuple[Incremental, list[Checkpoint]], log: Dataset
) -> None:
    past = log.before(CUT)
    rng = np.random.default_rng(0)
    users, items = (np.sort(rng.choice(n, m, False)).astype(np.int32) for n, m in ((44, 40), (57, 50)))
    year, genres = np.full(57, -1, dtype=np.int32), np.zeros((57, 6), dtype=bool)
    year[items], genres[items] = log.items["year"], log.items["genres"]
    attributes = {key: np.full(44, -1, dtype=np.int32) for key in log.users}
    for key, codes in attributes.items():
        codes[users] = log.users[key]
    grown_log = Dataset(
        users[past.user_idx],
        items[past.item_idx],
        past.rating,
        past.at,
        44,
        57,
        past.as_of,
        attributes,
        {"year": year, "genres": genres},
    )
    model = trained[0]
    expected = model.recommend(queries_at(past), 10)
    grown = model.copy().grow(users, items, 44, 57)
    found = grown.recommend(queries_at(grown_log, users=users), 10)
    np.testing.assert_array_equal(found.item, np.where(expected.item < 0, -1, items[expected.item]))
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-4, atol=1e-5)


def test_user_vectors_times_published_item_vectors_are_the_scores(
    trained: tuple[Incremental, list[Checkpoint]], log: Dataset
) -> None:
    model, queries = trained[0], queries_at(log.before(CUT))
    vectors = model.tables().item_embeddings
    assert vectors is not None
    scores = model.user_vectors(queries) @ vectors.T
    found = model.recommend(queries, 10)
    rows, rank0 = np.nonzero(found.item >= 0)
    assert len(rows)
    expected = scores[rows, found.item[rows, rank0]]
    np.testing.assert_allclose(found.score[rows, rank0], expected, rtol=1e-4, atol=1e-4)
