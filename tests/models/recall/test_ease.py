"""EASE against the constrained least squares problem that defines it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.candidates import Candidates
from models.dataset import Dataset, Queries, queries_at
from models.history import FOREVER, decayed_history
from models.recall.ease import Ease, EaseConfig
from models.recall.registry import build
from models.sparse_product import sparse_from_state
from models.top_n import recommend_by_score
from tests.models.recall.small_logs import small_log

GIB = 2**30


@pytest.fixture(scope="module")
def log() -> Dataset:
    return small_log()


def rated(log: Dataset) -> np.ndarray:
    matrix = np.zeros((log.n_users, log.n_items))
    matrix[log.user_idx, log.item_idx] = 1
    return matrix


def slow_weight(X: NDArray[np.float64], l2: float) -> NDArray[np.float64]:
    """Item by item, the ridge regression on all other items."""
    weight = np.zeros((X.shape[1], X.shape[1]))
    for item in range(X.shape[1]):
        others = np.delete(np.arange(X.shape[1]), item)
        left = X[:, others].T @ X[:, others] + l2 * np.eye(len(others))
        weight[others, item] = np.linalg.solve(left, X[:, others].T @ X[:, item])
    return weight


def dense_weight(ease: Ease) -> NDArray[np.float32]:
    n_items = len(ease.state["weight_indptr"]) - 1
    weight: NDArray[np.float32] = sparse_from_state("weight", ease.state, n_items).toarray()
    return weight


def test_weights_are_those_of_the_definition(log: Dataset) -> None:
    weight = dense_weight(Ease(EaseConfig(l2=7.0)).fit(log))
    np.testing.assert_array_equal(weight.diagonal(), 0)
    np.testing.assert_allclose(weight, slow_weight(rated(log), 7.0), atol=1e-5)


def test_more_items_than_a_block_and_items_rated_again() -> None:
    log = small_log(1, n_users=100, n_items=600)
    twice = Dataset(
        *(np.repeat(column, 2) for column in (log.user_idx, log.item_idx, log.rating, log.at)),
        log.n_users,
        log.n_items,
        log.as_of,
    )
    X = rated(log)
    inverse = np.linalg.inv(X.T @ X + 3 * np.eye(log.n_items))
    expected = -inverse / inverse.diagonal()
    np.fill_diagonal(expected, 0)
    weight = dense_weight(Ease(EaseConfig(l2=3.0, n_weights=log.n_items)).fit(twice))
    np.testing.assert_allclose(weight, expected, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 99),
    n_weights=st.integers(1, 60),
    decay=st.sampled_from([2.0, FOREVER]),
    filter_seen=st.booleans(),
)
def test_lists_are_those_of_the_dense_scores_with_the_largest_weights(
    seed: int, n_weights: int, decay: float, filter_seen: bool
) -> None:
    log = small_log(seed)
    queries = queries_at(log)
    found = (
        Ease(EaseConfig(l2=7.0, decay=decay, n_weights=n_weights))
        .fit(log)
        .recommend(queries, log.n_items, filter_seen)
    )
    weight = pruned(slow_weight(rated(log), 7.0), n_weights)
    assert_scores(found, queries, decay, weight)
    if n_weights >= log.n_items:
        expected = dense_answers(queries, decay, weight, log.item_idx, filter_seen)
        np.testing.assert_array_equal(found.item >= 0, expected.item >= 0)
        np.testing.assert_allclose(found.score, expected.score, atol=1e-4)


def pruned(weight: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Only the n largest absolute values of each row, those that tie in float32 included."""
    limit = -np.sort(-np.abs(weight), axis=1)[:, min(n, weight.shape[1]) - 1]
    return np.where(np.abs(weight) >= limit[:, None] - 1e-6, weight, 0)


def assert_scores(found: Candidates, queries: Queries, decay: float, weight: NDArray[np.float64]) -> None:
    scores = decayed_history(queries, decay).toarray() @ weight
    assert (found.item >= 0).any()
    for items, row, expected in zip(found.item, found.score, scores, strict=True):
        np.testing.assert_allclose(row[items >= 0], expected[items[items >= 0]], atol=1e-4)


def dense_answers(
    queries: Queries,
    decay: float,
    weight: NDArray[np.float64],
    rated_items: NDArray[np.int32],
    filter_seen: bool,
) -> Candidates:
    """The lists of the dense product, over all items that somebody rated."""

    def score(block: Queries) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = (decayed_history(block, decay).toarray() @ weight).astype(np.float32)
        return scores

    among = np.isin(np.arange(len(weight)), rated_items)
    return recommend_by_score(score, queries, len(weight), filter_seen, among=among, needs_history=True)


@pytest.mark.parametrize("settings", [{"memory_gib": 4 * 20**2 / GIB}, {"max_work": 20**3 / 700}])
def test_the_most_rated_items_alone_are_read_and_recommended(
    log: Dataset, settings: dict[str, float]
) -> None:
    ease = Ease(EaseConfig(l2=7.0).but(**settings)).fit(log)
    weight = dense_weight(ease)
    items = np.flatnonzero(np.diff(ease.state["weight_indptr"]))
    count = np.bincount(log.item_idx, minlength=log.n_items)
    assert 15 < len(items) <= 20
    assert count[items].min() >= np.delete(count, items).max()
    expected = slow_weight(rated(log)[:, items], 7.0)
    np.testing.assert_allclose(weight[np.ix_(items, items)], expected, atol=1e-5)
    assert ease.state["covered"] == pytest.approx(count[items].sum() / log.n_events)
    candidates = ease.recommend(queries_at(log), log.n_items, filter_seen=False)
    assert set(np.unique(candidates.item)) <= {-1, *items.tolist()}


def test_items_that_nobody_rated_change_nothing(log: Dataset) -> None:
    larger = Dataset(log.user_idx, log.item_idx, log.rating, log.at, log.n_users, log.n_items + 30, log.as_of)
    one, other = Ease().fit(log), Ease().fit(larger)
    found, again = one.recommend(queries_at(log), 20), other.recommend(queries_at(larger), 20)
    np.testing.assert_array_equal(found.item, again.item)
    np.testing.assert_array_equal(found.score, again.score)


def test_items_without_an_event_are_never_recommended(log: Dataset) -> None:
    train = log.where(log.item_idx % 3 != 1)
    candidates = Ease().fit(train).recommend(queries_at(log), log.n_items)
    recommended = candidates.item[candidates.item >= 0]
    assert len(recommended)
    assert np.isin(recommended, train.item_idx).all()


def test_similar_items_are_those_of_the_largest_positive_weights(log: Dataset) -> None:
    near = Ease(EaseConfig(l2=7.0, n_neighbours=6)).fit(log).tables().item_similarity
    assert near is not None
    weight = np.maximum(slow_weight(rated(log), 7.0), 0)
    largest = -np.sort(-weight, axis=1)[:, :6]
    np.testing.assert_allclose(np.where(near.item < 0, 0, near.score), largest, atol=1e-5)
    found = np.take_along_axis(weight, np.maximum(near.item, 0), axis=1)
    np.testing.assert_allclose(np.where(near.item < 0, 0, found), largest, atol=1e-5)


def test_answers_from_a_state_in_read_only_files_without_a_copy(log: Dataset, tmp_path: Path) -> None:
    fitted, mapped = build("sequential_linear").fit(log), build("sequential_linear")
    for name, value in fitted.state.items():
        np.save(tmp_path / f"{name}.npy", value)
        mapped.state[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    rows = sparse_from_state("weight", mapped.state, log.n_items)
    for name in ("data", "indices", "indptr"):
        assert getattr(rows, name).ctypes.data == mapped.state[f"weight_{name}"].ctypes.data
    found, expected = mapped.recommend(queries_at(log), 20), fitted.recommend(queries_at(log), 20)
    np.testing.assert_array_equal(found.item, expected.item)
    np.testing.assert_array_equal(found.score, expected.score)


def test_a_state_serves_a_channel_that_reads_histories_otherwise(log: Dataset) -> None:
    plain, borrowed = build("ease_plain").fit(log), build("ease_plain")
    borrowed.state = build("ease").fit(log).state
    found, expected = borrowed.recommend(queries_at(log), 20), plain.recommend(queries_at(log), 20)
    np.testing.assert_array_equal(found.item, expected.item)
    np.testing.assert_array_equal(found.score, expected.score)
