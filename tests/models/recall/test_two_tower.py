"""The two-tower channel: its state, what it publishes, and what it refuses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from models.dataset import Dataset, queries_at
from models.embeddings.ann import AnnConfig
from models.features.schema import FeatureSchema
from models.incremental import Checkpoint
from models.recall.two_tower import TwoTower
from models.top_n import BLOCK
from models.two_tower.config import TowersConfig, TrainingConfig, TwoTowerConfig
from models.two_tower.presets import PRESETS
from tests.models.recall.small_logs import small_log

QUICK = TwoTowerConfig(
    towers=TowersConfig(embedding_dim=8, user_id=True, demographics=True, attributes=True),
    training=TrainingConfig(epochs=2),
)


@pytest.fixture(scope="module")
def log() -> Dataset:
    return small_log()


@pytest.fixture(scope="module")
def fitted(log: Dataset) -> TwoTower:
    return TwoTower(QUICK).fit(log)


def test_published_vectors_times_user_vectors_are_the_scores(log: Dataset, fitted: TwoTower) -> None:
    queries = queries_at(log)
    vectors = fitted.tables().item_embeddings
    assert vectors is not None
    assert vectors.dtype == np.float32
    scores = fitted.user_vectors(queries) @ vectors.T
    found = fitted.recommend(queries, 10)
    rows, rank0 = np.nonzero(found.item >= 0)
    expected = scores[rows, found.item[rows, rank0]]
    np.testing.assert_allclose(found.score[rows, rank0], expected, rtol=1e-4, atol=1e-5)


def test_the_state_is_float32_with_schema_and_curve(log: Dataset, fitted: TwoTower) -> None:
    assert all(v.dtype == np.float32 for k, v in fitted.state.items() if k.startswith("weight."))
    schema = FeatureSchema.from_json(bytes(fitted.state["schema"]).decode())
    sizes = {feature.name: feature.size for feature in schema.features}
    assert sizes["item_id"] == log.n_items + 1
    assert sizes["user_id"] == log.n_users + 1
    assert fitted.state["curve"].shape == (2, 2)


def test_progress_is_reported_epoch_by_epoch(log: Dataset, fitted: TwoTower) -> None:
    reported: list[Checkpoint] = []
    watched = TwoTower(QUICK).fit(log, checkpoint_callback=reported.append)
    assert watched.n_epochs(log) == 2
    assert [checkpoint.epoch for checkpoint in reported] == [1, 2]
    for name, value in fitted.state.items():
        np.testing.assert_array_equal(watched.state[name], value)


def test_another_schema_is_an_error_that_says_what_differs(log: Dataset, fitted: TwoTower) -> None:
    more_items = small_log(n_items=60)
    no_genres = replace(log, items={"year": log.items["year"]})
    for other, names in ((more_items, "history, item_id"), (no_genres, "item_genres")):
        for use in (
            lambda other=other: fitted.warm(other, np.arange(3)),
            lambda other=other: fitted.update(other, np.arange(3)),
        ):
            with pytest.raises(ValueError, match=rf"another schema \(different: {names}\)"):
                use()
    with pytest.raises(ValueError, match=r"another schema \(different: history, item_id\)"):
        fitted.recommend(queries_at(more_items), 5)
    # Of items it knows the attributes itself, as a release does that an hour goes on from.
    answered = fitted.recommend(queries_at(no_genres), 5)
    np.testing.assert_array_equal(answered.item, fitted.recommend(queries_at(log), 5).item)


def test_weights_of_other_towers_are_an_error(log: Dataset, fitted: TwoTower) -> None:
    other = TwoTower(QUICK.but(towers=QUICK.towers.but(embedding_dim=16)))
    other.state = fitted.state
    with pytest.raises(ValueError, match="other towers than the config's"):
        other.recommend(queries_at(log), 5)


def test_warm_and_update_leave_the_old_state_as_it_was(log: Dataset) -> None:
    model = TwoTower(QUICK).fit(log)
    before = model.state
    copy = {name: value.copy() for name, value in before.items()}
    model.warm(log, np.arange(0, log.n_events, 7))
    model.update(log, np.arange(0, log.n_events, 7))
    for name, value in copy.items():
        np.testing.assert_array_equal(before[name], value)


def test_an_item_is_recommended_once_the_log_has_it(log: Dataset, fitted: TwoTower) -> None:
    assert 0 not in fitted.recommend(queries_at(log), log.n_items).item


@pytest.mark.parametrize("ann", [{"kind": "ivf", "nprobe": 1_000}, {"flat_up_to": 10, "hnsw_up_to": 20}])
def test_an_index_beyond_a_size_finds_what_the_exact_search_finds(
    log: Dataset, fitted: TwoTower, ann: dict[str, Any]
) -> None:
    indexed = TwoTower(QUICK.but(ann=AnnConfig(**{"nprobe": 1_000} | ann)))
    indexed.state = fitted.state
    for filter_seen in (True, False):
        exact = fitted.recommend(queries_at(log), 20, filter_seen)
        found = indexed.recommend(queries_at(log), 20, filter_seen)
        np.testing.assert_allclose(found.score, exact.score, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found.item, exact.item)


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_vectors_that_are_given_find_what_the_towers_find(log: Dataset, fitted: TwoTower, kind: Any) -> None:
    model = TwoTower(QUICK.but(ann=AnnConfig(kind=kind)))
    model.state = fitted.state
    queries, items = queries_at(log), model.tables().item_embeddings
    assert items is not None
    expected, found = (
        model.recommend(queries, 10),
        model.nearest(model.user_vectors(queries), items, queries, 10),
    )
    np.testing.assert_array_equal(found.item, expected.item)
    np.testing.assert_array_equal(found.score, expected.score)


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_lists_depend_neither_on_threads_nor_on_other_queries(
    log: Dataset, fitted: TwoTower, kind: Any
) -> None:
    model = TwoTower(QUICK.but(ann=AnnConfig(kind=kind)))
    model.state = fitted.state
    # A run of users is a whole number of blocks; here there are two blocks and a part of one.
    users = np.arange(2 * BLOCK + 100) % log.n_users
    queries = queries_at(log, users=users.astype(np.int32))
    whole, vectors = model.recommend(queries, 10), model.user_vectors(queries)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 + threads % 2)
        for begin in range(0, len(queries), BLOCK):
            part = queries.rows(begin, begin + BLOCK)
            found = model.recommend(part, 10)
            np.testing.assert_array_equal(found.item, whole.item[begin : begin + BLOCK])
            np.testing.assert_array_equal(found.score, whole.score[begin : begin + BLOCK])
            np.testing.assert_array_equal(model.user_vectors(part), vectors[begin : begin + BLOCK])
    finally:
        torch.set_num_threads(threads)


def test_a_model_that_learns_on_answers_by_what_it_learned(log: Dataset) -> None:
    model = TwoTower(QUICK).fit(log)
    before = model.recommend(queries_at(log), 10)
    model.update(log, np.arange(0, log.n_events, 3))
    fresh = TwoTower(QUICK)
    fresh.state = model.state
    after = model.recommend(queries_at(log), 10)
    assert (after.score != before.score).any()
    np.testing.assert_array_equal(after.score, fresh.recommend(queries_at(log), 10).score)


def test_presets_are_what_their_names_say() -> None:
    assert PRESETS["dssm"].towers.similarity == "cosine"
    assert PRESETS["dssm"].towers.item_hidden
    assert PRESETS["youtube_dnn"].towers.history == ("mean",)
    assert PRESETS["sasrec"].towers.history == ("causal",)
    assert PRESETS["sasrec"].towers.tied
