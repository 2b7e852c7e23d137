"""ItemCF and Swing against slow oracles that follow the formulas word for word."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.dataset import Dataset, queries_at
from models.history import decayed_history, interactions
from models.recall.item_cf import ItemCF, ItemCFConfig
from models.recall.swing import LANES, USERS, Swing, SwingConfig, swing_similarity
from tests.models.recall.small_logs import small_log


def rated_items(log: Dataset) -> list[set[int]]:
    """The items of each user."""
    return [set(log.item_idx[log.user_idx == user].tolist()) for user in range(log.n_users)]


def slow_swing(log: Dataset, alpha: float) -> NDArray[np.float64]:
    """Sum over pairs of users u < v, then over pairs of the items that both rated."""
    items = rated_items(log)
    similarity = np.zeros((log.n_items, log.n_items))
    for u, v in combinations(range(log.n_users), 2):
        shared = items[u] & items[v]
        for i in shared:
            for j in shared - {i}:
                weight = len(items[u]) ** -0.5 * len(items[v]) ** -0.5
                similarity[i, j] += weight / (alpha + len(shared))
    return similarity


def slow_cosine(log: Dataset, shrinkage: float) -> NDArray[np.float64]:
    """Cosine of items whose users weigh |I_u|^-1/2, each row divided by its maximum."""
    rows = np.zeros((log.n_users, log.n_items))
    for user, items in enumerate(rated_items(log)):
        rows[user, list(items)] = len(items) ** -0.5 if items else 0
    norm = np.sqrt((rows**2).sum(0))
    cosine = rows.T @ rows / np.maximum(np.outer(norm, norm) + shrinkage, 1e-9)
    np.fill_diagonal(cosine, 0)
    return cosine / np.maximum(cosine.max(1, keepdims=True), 1e-9)


@pytest.mark.parametrize(("seed", "alpha"), [(0, 1.0), (1, 0.0), (2, 5.0)])
def test_swing_is_that_of_the_paper(seed: int, alpha: float) -> None:
    log = small_log(seed)
    np.testing.assert_allclose(swing_similarity(log, alpha), slow_swing(log, alpha), rtol=1e-6, atol=1e-6)


def test_swing_over_more_users_and_items_than_a_block() -> None:
    # More users than are taken at once, and users with more items than a vector register holds.
    log = small_log(3, n_users=USERS + 90, n_items=3 * LANES)
    assert np.bincount(log.user_idx).max() > LANES
    rated = interactions(log).toarray().astype(np.float64)
    weight = np.maximum(rated.sum(1), 1) ** -0.5
    pairs = np.triu(np.outer(weight, weight) / (1 + rated @ rated.T), 1)  # (U, U)
    expected = np.zeros((log.n_items, log.n_items))
    for i in range(log.n_items):
        both = rated * rated[:, [i]]  # (U, I): who rated i and j
        expected[i] = (both * (pairs @ both)).sum(0)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(swing_similarity(log), expected, rtol=1e-6, atol=1e-6)


def test_swing_of_two_users_by_hand() -> None:
    # Users rate {0, 1, 2} and {0, 1}: one pair, which shares two items.
    user, item = np.array([0, 0, 0, 1, 1], dtype=np.int32), np.array([0, 1, 2, 0, 1], dtype=np.int32)
    log = Dataset(user, item, np.ones(5, dtype=np.float32), np.arange(5), 2, 3, 5)
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[1, 0] = 1 / np.sqrt(3 * 2) / (1 + 2)
    np.testing.assert_allclose(swing_similarity(log, alpha=1.0), expected, rtol=1e-6)


def test_a_repeated_rating_is_one_interaction() -> None:
    log = small_log(4)
    twice = Dataset(
        *(np.repeat(column, 2) for column in (log.user_idx, log.item_idx, log.rating, log.at)),
        log.n_users,
        log.n_items,
        log.as_of,
    )
    np.testing.assert_array_equal(swing_similarity(twice), swing_similarity(log))


def test_swing_publishes_its_largest_similarities() -> None:
    log = small_log(5)
    published = Swing(SwingConfig(n_neighbours=4)).fit(log).tables().item_similarity
    assert published is not None
    largest = -np.sort(-slow_swing(log, 1.0), axis=1)[:, :4]
    np.testing.assert_allclose(np.where(published.item < 0, 0, published.score), largest, rtol=1e-5)


def test_swing_scores_by_the_damped_similarity() -> None:
    log = small_log(6)
    queries = queries_at(log)
    config = SwingConfig(damping=0.5, n_neighbours=log.n_items, decay=3.0)
    damped = slow_swing(log, config.alpha)
    damped /= np.maximum(damped.sum(0), 1e-12) ** 0.5
    damped /= np.maximum(damped.sum(1, keepdims=True), 1e-12)
    expected = decayed_history(queries, 3.0).toarray() @ damped
    found = Swing(config).fit(log).recommend(queries, log.n_items, filter_seen=False)
    for row, items, scores in zip(expected, found.item, found.score, strict=True):
        np.testing.assert_allclose(scores[items >= 0], row[items[items >= 0]], rtol=1e-4)
        assert (row > 1e-9).sum() == (items >= 0).sum()


@pytest.mark.parametrize("shrinkage", [0.0, 2.0])
def test_item_cf_publishes_the_largest_cosines(shrinkage: float) -> None:
    log = small_log(7)
    published = ItemCF(ItemCFConfig(shrinkage=shrinkage, n_neighbours=5)).fit(log).tables().item_similarity
    assert published is not None
    cosine = slow_cosine(log, shrinkage)
    largest = -np.sort(-cosine, axis=1)[:, :5]
    np.testing.assert_allclose(np.where(published.item < 0, 0, published.score), largest, rtol=1e-5)
    found = np.take_along_axis(cosine, np.maximum(published.item, 0), axis=1)
    np.testing.assert_allclose(np.where(published.item < 0, 0, found), largest, rtol=1e-5)


def test_item_cf_scores_the_recency_weighted_history() -> None:
    log = small_log(8)
    queries = queries_at(log)
    expected = decayed_history(queries, 2.0).toarray() @ slow_cosine(log, 0.0)
    found = ItemCF(ItemCFConfig(n_neighbours=log.n_items, decay=2.0)).fit(log).recommend(queries, 5, False)
    best = -np.sort(-expected, axis=1)[:, :5]
    np.testing.assert_allclose(np.where(found.item < 0, 0, found.score), best, rtol=1e-4)
