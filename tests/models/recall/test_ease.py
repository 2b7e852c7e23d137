"""EASE against the constrained least squares problem that defines it."""

import numpy as np
import pytest

from models.dataset import Dataset, queries_at
from models.history import FOREVER
from models.recall.ease import Ease, EaseConfig, zero_diagonal_regression
from tests.models.recall.small_logs import small_log


@pytest.fixture(scope="module")
def log() -> Dataset:
    return small_log()


def rated(log: Dataset) -> np.ndarray:
    matrix = np.zeros((log.n_users, log.n_items))
    matrix[log.user_idx, log.item_idx] = 1
    return matrix


def test_each_column_is_the_ridge_regression_on_all_other_items(log: Dataset) -> None:
    X, l2 = rated(log), 7.0
    weight = Ease(EaseConfig(l2=l2)).fit(log).state["weight"]
    np.testing.assert_array_equal(weight.diagonal(), 0)
    for item in range(log.n_items):
        others = np.delete(np.arange(log.n_items), item)
        left = X[:, others].T @ X[:, others] + l2 * np.eye(len(others))
        expected = np.linalg.solve(left, X[:, others].T @ X[:, item])
        np.testing.assert_allclose(weight[others, item], expected, atol=1e-5)


def test_plain_scores_are_the_reconstruction_of_the_paper(log: Dataset) -> None:
    ease = Ease(EaseConfig(l2=7.0, decay=FOREVER)).fit(log)
    expected = rated(log) @ ease.state["weight"]
    candidates = ease.recommend(queries_at(log), log.n_items)
    for user in range(1, log.n_users):
        listed = candidates.item[user] >= 0
        np.testing.assert_allclose(
            candidates.score[user][listed], expected[user, candidates.item[user][listed]], atol=1e-5
        )


def test_newer_items_weigh_more(log: Dataset) -> None:
    decay = 2.0
    ease = Ease(EaseConfig(l2=7.0, decay=decay)).fit(log)
    candidates = ease.recommend(queries_at(log), log.n_items)
    for user in range(1, log.n_users):
        items = log.item_idx[log.indptr[user] : log.indptr[user + 1]]
        expected = np.exp(-np.arange(len(items))[::-1] / decay) @ ease.state["weight"][items]
        listed = candidates.item[user] >= 0
        np.testing.assert_allclose(
            candidates.score[user][listed], expected[candidates.item[user][listed]], atol=1e-4
        )


def test_items_without_an_event_are_never_recommended(log: Dataset) -> None:
    train = log.where(log.item_idx % 3 != 1)
    candidates = Ease().fit(train).recommend(queries_at(log), log.n_items)
    recommended = candidates.item[candidates.item >= 0]
    assert len(recommended)
    assert np.isin(recommended, train.item_idx).all()


def test_a_gram_matrix_that_is_not_positive_definite_is_refused() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="l2"):
        zero_diagonal_regression(np.full((2, 2), -5.0, dtype=np.float32), 1.0)
