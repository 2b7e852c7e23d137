"""The contract of every recall channel, whatever its algorithm: runs over the registry, and hashed ids."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.candidates import Candidates
from models.dataset import DAY, Dataset, Queries, queries_at, queries_before
from models.recall.contract import Recaller
from tests.models.recall.kinds import HASHED, KINDS, build
from tests.models.recall.small_logs import START, small_log, two_rated_tastes, two_tastes

CUT = START + 70 * DAY

NOT_COLLABORATIVE = {
    "popular": "has one list for everybody",
    "segment": "goes by gender and age",
    "first_session": "goes by gender and age",
    "region": "goes by the zip code",
    "new_items": "has one list for everybody",
    "attribute": "goes by genres and decades, of which the log of two tastes has none",
    "cache": "has what earlier runs ranked, of which a log says nothing",
    "fresh": "goes by them too, and has films that hardly anybody rated",
}
"""Channels that do not learn from what users have in common, and why not."""

BY_RATING = {"lfm", "lfm_sgd"}
"""Channels that learn from how much was liked, not from what was watched."""

QUICK = {"epochs": 30, "learning_rate": 0.05, "batch_tokens": 200, "patience": 30}
SETTINGS: dict[str, dict[str, Any]] = {
    "lfm": {"decay": float("inf"), "trainer": {"l2": 1.0}},
    "lfm_sgd": {"decay": float("inf"), "trainer": {"l2": 1.0, "epochs": 100, "learning_rate": 0.1}},
    "dssm": {"training": QUICK},
    HASHED: {"training": QUICK},
    "youtube_dnn": {"training": QUICK},
    "sasrec": {"training": QUICK},
    "deep_retrieval": {"epochs": 12, "batch_size": 64, "learning_rate": 0.01},
}
"""Settings by which channels learn from 700 events as they do from a million."""


def fit(name: str, log: Dataset) -> Recaller:
    """The channel, fitted; one that holds what earlier runs ranked has all films of each user."""
    model = build(name).fit(log)
    if name == "cache":
        films = np.random.default_rng(0).permuted(np.tile(np.arange(log.n_items), (log.n_users, 1)), axis=1)
        model.push(films.astype(np.int32), log.as_of)
    return model


@pytest.fixture(scope="module")
def log() -> Dataset:
    return small_log()


@pytest.fixture(scope="module", params=KINDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted(name: str, log: Dataset) -> Recaller:
    """Fitted on the log up to the cut."""
    return fit(name, log.before(CUT))


def seen(queries: Queries, query: int) -> set[int]:
    return set(queries.log.item_idx[queries.start[query] : queries.end[query]].tolist())


def assert_well_formed(candidates: Candidates, n_queries: int, n: int, n_items: int) -> None:
    item, score = candidates.item, candidates.score
    assert item.shape == score.shape == (n_queries, n)
    assert item.dtype == np.int32
    assert score.dtype == np.float32
    assert item.min() >= -1
    assert item.max() < n_items
    padding = item == -1
    np.testing.assert_array_equal(np.isneginf(score), padding)
    assert not np.isnan(score).any()
    # Padding only at the end of a row.
    assert (padding[:, 1:] >= padding[:, :-1]).all()
    both = ~padding[:, 1:]
    assert (score[:, :-1] >= score[:, 1:])[both].all()
    ties = both & (score[:, :-1] == score[:, 1:])
    assert (item[:, :-1] < item[:, 1:])[ties].all()
    for row in item:
        listed = row[row >= 0]
        assert len(np.unique(listed)) == len(listed)


def assert_same(left: Candidates, right: Candidates) -> None:
    np.testing.assert_array_equal(left.item, right.item)
    np.testing.assert_array_equal(left.score, right.score)


@pytest.mark.parametrize("n", [1, 7, 60])
def test_lists_are_sorted_distinct_padded_and_unseen(fitted: Recaller, log: Dataset, n: int) -> None:
    queries = queries_at(log.before(CUT))
    candidates = fitted.recommend(queries, n)
    assert_well_formed(candidates, len(queries), n, log.n_items)
    assert (candidates.item >= 0).any()
    for query, row in enumerate(candidates.item):
        assert not seen(queries, query) & set(row.tolist())


def test_seen_items_come_back_without_the_filter(fitted: Recaller, log: Dataset) -> None:
    queries = queries_at(log.before(CUT))
    candidates = fitted.recommend(queries, log.n_items, filter_seen=False)
    assert_well_formed(candidates, len(queries), log.n_items, log.n_items)
    filtered = fitted.recommend(queries, log.n_items)
    came_back = 0
    for query, row in enumerate(candidates.item):
        unseen = [item for item in row.tolist() if item not in seen(queries, query)]
        came_back += log.n_items - len(unseen)
        # The filter only takes away: the order of the rest stays.
        assert filtered.item[query].tolist() == unseen + [-1] * (log.n_items - len(unseen))
    assert came_back > 0


def test_two_fits_are_equal(name: str, fitted: Recaller, log: Dataset) -> None:
    again = fit(name, log.before(CUT))
    assert fitted.state.keys() == again.state.keys()
    for key, value in fitted.state.items():
        np.testing.assert_array_equal(value, again.state[key])
    queries = queries_at(log.before(CUT))
    assert_same(fitted.recommend(queries, 10), again.recommend(queries, 10))


def test_a_batch_answers_like_its_queries_one_by_one(fitted: Recaller, log: Dataset) -> None:
    queries = queries_at(log.before(CUT))
    batch = fitted.recommend(queries, 10)
    for query in range(len(queries)):
        single = fitted.recommend(queries.rows(query, query + 1), 10)
        np.testing.assert_array_equal(single.item[0], batch.item[query])
        np.testing.assert_allclose(single.score[0], batch.score[query], rtol=1e-5, atol=1e-5)


def test_no_query_no_answer(fitted: Recaller, log: Dataset) -> None:
    candidates = fitted.recommend(queries_at(log.before(CUT)).rows(0, 0), 10)
    assert candidates.item.shape == candidates.score.shape == (0, 10)


@pytest.mark.parametrize("user", [0, -1])
def test_a_user_without_history_gets_a_well_formed_list(fitted: Recaller, log: Dataset, user: int) -> None:
    nothing = np.zeros(1, dtype=np.int64)
    queries = Queries(np.array([user], dtype=np.int32), nothing + CUT, nothing, nothing, log.before(CUT))
    assert_well_formed(fitted.recommend(queries, 10), 1, 10, log.n_items)


def test_an_unknown_user_may_come_with_a_history(fitted: Recaller, log: Dataset) -> None:
    queries = queries_at(log.before(CUT))
    queries = replace(queries, user_idx=np.full_like(queries.user_idx, -1))
    candidates = fitted.recommend(queries, 10)
    assert_well_formed(candidates, len(queries), 10, log.n_items)
    for query, row in enumerate(candidates.item):
        assert not seen(queries, query) & set(row.tolist())


def test_a_later_history_needs_no_new_fit(fitted: Recaller, log: Dataset) -> None:
    rows = np.flatnonzero(log.at >= CUT)
    queries = queries_before(log, rows)
    candidates = fitted.recommend(queries, 10)
    assert_well_formed(candidates, len(queries), 10, log.n_items)
    for query, row in enumerate(candidates.item):
        assert not seen(queries, query) & set(row.tolist())


def test_attributes_may_be_missing(name: str, log: Dataset) -> None:
    bare = replace(log.before(CUT), users={}, items={})
    queries = queries_at(bare)
    assert_well_formed(fit(name, bare).recommend(queries, 10), len(queries), 10, log.n_items)


def test_an_empty_log_can_be_fitted(name: str, log: Dataset) -> None:
    empty = log.before(START)
    queries = queries_at(empty)
    assert_well_formed(fit(name, empty).recommend(queries, 5), len(queries), 5, log.n_items)


def test_the_state_is_all_that_was_learned(name: str, fitted: Recaller, log: Dataset) -> None:
    assert all(isinstance(value, np.ndarray) for value in fitted.state.values())
    assert all(value.dtype != object for value in fitted.state.values())
    copy = build(name)
    copy.state = {key: value.copy() for key, value in fitted.state.items()}
    queries = queries_at(log.before(CUT))
    assert_same(copy.recommend(queries, 10), fitted.recommend(queries, 10))


def test_the_future_changes_nothing(name: str, fitted: Recaller, log: Dataset) -> None:
    # The log with its future replaced by another one: before the cut both are the same.
    other = replace(log, item_idx=np.where(log.at < CUT, log.item_idx, 1).astype(np.int32))
    again = fit(name, other.before(CUT))
    for key, value in fitted.state.items():
        np.testing.assert_array_equal(value, again.state[key])


def test_published_tables_have_the_shapes_of_the_log(fitted: Recaller, log: Dataset) -> None:
    tables = fitted.tables()
    if tables.item_similarity is not None:
        item, score = tables.item_similarity.item, tables.item_similarity.score
        assert len(item) == log.n_items
        assert_well_formed(Candidates(item, score), log.n_items, item.shape[1], log.n_items)
        assert not (item == np.arange(log.n_items)[:, None]).any()
    if tables.item_embeddings is not None:
        assert len(tables.item_embeddings) == log.n_items
        assert np.isfinite(tables.item_embeddings).all()
    if tables.user_embeddings is not None:
        assert len(tables.user_embeddings) == log.n_users
        assert np.isfinite(tables.user_embeddings).all()


def rightly_ordered(model: Recaller, log: Dataset) -> float:
    """The fraction of pairs in which a withheld item of the own taste is before one of the other taste.

    An item that is not listed comes after all that are; two of them are a draw.
    """
    users = np.arange(60, dtype=np.int32)
    queries = queries_at(log, users=users)
    found = model.recommend(queries, log.n_items)
    ordered = []
    for user in users:
        rank0 = np.full(log.n_items, log.n_items)
        listed = found.item[user][found.item[user] >= 0]
        rank0[listed] = np.arange(len(listed))
        withheld = np.setdiff1d(np.arange(log.n_items), list(seen(queries, user)))
        own = withheld // 20 == user % 2
        further = rank0[withheld[~own]] - rank0[withheld[own]][:, None]
        ordered.append(((further > 0) + 0.5 * (further == 0)).mean())
    return float(np.mean(ordered))


def fitted_on_two_tastes(name: str, settings: Mapping[str, Any]) -> tuple[Recaller, Dataset]:
    log = two_rated_tastes() if name in BY_RATING else two_tastes()
    return build(name, 0, settings).fit(log), log


def test_collaborative_channels_put_the_users_own_taste_first(name: str) -> None:
    ordered = rightly_ordered(*fitted_on_two_tastes(name, SETTINGS.get(name, {})))
    if name in NOT_COLLABORATIVE:
        assert ordered < 0.6
    else:
        assert ordered > 0.95


@pytest.mark.parametrize("trainer", ["mf", "bpr", "word2vec", "deepwalk", "node2vec"])
def test_channels_of_vectors_recall_by_the_items_of_the_history_too(trainer: str) -> None:
    by_user, log = fitted_on_two_tastes(trainer, {"use": "u2i"})
    by_item, _ = fitted_on_two_tastes(trainer, {"use": "i2i"})
    assert rightly_ordered(by_item, log) > 0.95
    queries = queries_at(log)
    assert (by_user.recommend(queries, 10).score != by_item.recommend(queries, 10).score).any()
