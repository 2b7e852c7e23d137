"""Sequential linear model against regressions whose design matrices are built event by event."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.dataset import Dataset, queries_at
from models.recall.sequential_linear import SequentialLinear, SequentialLinearConfig
from models.sparse_product import sparse_from_state
from tests.models.recall.small_logs import small_log

CONFIGS = [
    SequentialLinearConfig(decays=(5.0,), target_decay=3.0, l2=10.0),
    SequentialLinearConfig(decays=(0.7, 2.5), target_decay=1.5, l2=3.0),
]


def decayed(items: NDArray[np.int32], decay: float, n_items: int) -> NDArray[np.float64]:
    """Nearest first; only the nearest 5 decays count."""
    row = np.zeros(n_items)
    for distance, item in enumerate(items):
        if distance < 5 * decay:
            row[item] += np.exp(-distance / decay)
    return row


def history_row(
    items: NDArray[np.int32], config: SequentialLinearConfig, n_items: int
) -> NDArray[np.float64]:
    return np.concatenate([decayed(items[::-1], decay, n_items) for decay in config.decays])


def slow_weight(
    log: Dataset, config: SequentialLinearConfig, among: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """The regression of the explicit matrices, over the columns of some items alone."""
    items_read = np.arange(log.n_items) if among is None else among
    inputs = (np.arange(len(config.decays))[:, None] * log.n_items + items_read).ravel()
    x, y = [], []
    for user in range(log.n_users):
        items = log.item_idx[log.indptr[user] : log.indptr[user + 1]]
        for position in range(1, len(items)):
            x.append(history_row(items[:position], config, log.n_items))
            y.append(decayed(items[position:], config.target_decay, log.n_items))
    X, Y = np.array(x)[:, inputs], np.array(y)[:, items_read]
    return np.linalg.solve(X.T @ X + config.l2 * np.eye(X.shape[1]), X.T @ Y)


def dense_weight(model: SequentialLinear, n_items: int) -> NDArray[np.float32]:
    """(D * I, I)."""
    weight: NDArray[np.float32] = sparse_from_state("weight", model.state, n_items).toarray()
    return weight


decays = st.floats(0.1, 8.0)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    inputs=st.lists(decays, min_size=1, max_size=3),
    target_decay=decays,
    l2=st.floats(1.0, 50.0),
)
def test_weights_are_the_ridge_regression_of_the_explicit_matrices(
    seed: int, inputs: list[float], target_decay: float, l2: float
) -> None:
    log = small_log(seed, n_users=15, n_items=20)
    config = SequentialLinearConfig(decays=tuple(inputs), target_decay=target_decay, l2=l2)
    weight = dense_weight(SequentialLinear(config).fit(log), log.n_items)
    np.testing.assert_allclose(weight, slow_weight(log, config), atol=1e-4)


def test_more_items_than_a_block() -> None:
    log, config = small_log(1, n_users=100, n_items=300), CONFIGS[1].but(n_weights=300)
    weight = dense_weight(SequentialLinear(config).fit(log), log.n_items)
    np.testing.assert_allclose(weight, slow_weight(log, config), atol=1e-4)


@pytest.mark.parametrize("n_weights", [1, 7])
def test_the_largest_weights_of_each_item_and_decay_stay(n_weights: int) -> None:
    log, config = small_log(), CONFIGS[1]
    weight = dense_weight(SequentialLinear(config.but(n_weights=n_weights)).fit(log), log.n_items)
    expected = slow_weight(log, config)
    largest = -np.sort(-np.abs(expected), axis=1)[:, :n_weights]
    np.testing.assert_allclose(-np.sort(-np.abs(weight), axis=1)[:, :n_weights], largest, atol=1e-4)
    assert ((weight != 0).sum(axis=1) <= n_weights).all()
    np.testing.assert_allclose(weight[weight != 0], expected[weight != 0], atol=1e-4)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_regression_is_over_the_columns_of_the_most_rated_items(config: SequentialLinearConfig) -> None:
    log, n_decays = small_log(), len(config.decays)
    count = np.bincount(log.item_idx, minlength=log.n_items)
    items = np.sort(np.argsort(-count, kind="stable")[:20])
    model = SequentialLinear(config.but(memory_gib=4 * (n_decays * 20) ** 2 / 2**30)).fit(log)
    assert model.state["covered"] == pytest.approx(count[items].sum() / log.n_events)
    expected = np.zeros((n_decays * log.n_items, log.n_items))
    rows = (np.arange(n_decays)[:, None] * log.n_items + items).ravel()
    expected[np.ix_(rows, items)] = slow_weight(log, config, items)
    np.testing.assert_allclose(dense_weight(model, log.n_items), expected, atol=1e-4)
    candidates = model.recommend(queries_at(log), log.n_items, filter_seen=False)
    assert set(np.unique(candidates.item)) == {-1, *items.tolist()}


def test_items_that_nobody_rated_change_nothing() -> None:
    log = small_log()
    larger = replace(log, n_items=log.n_items + 30, items={})
    found, again = (SequentialLinear().fit(of).recommend(queries_at(of), 20) for of in (log, larger))
    np.testing.assert_array_equal(found.item, again.item)
    np.testing.assert_array_equal(found.score, again.score)


def test_similar_items_are_the_likely_next_ones() -> None:
    log, config = small_log(), CONFIGS[1]
    near = SequentialLinear(config.but(n_neighbours=6)).fit(log).tables().item_similarity
    assert near is not None
    follows = slow_weight(log, config).reshape(-1, log.n_items, log.n_items).sum(axis=0)
    np.fill_diagonal(follows, 0)
    largest = -np.sort(-np.maximum(follows, 0), axis=1)[:, :6]
    np.testing.assert_allclose(np.where(near.item < 0, 0, near.score), largest, atol=1e-4)


@pytest.mark.parametrize("config", CONFIGS)
def test_scores_are_the_prediction_for_the_newest_history(config: SequentialLinearConfig) -> None:
    log = small_log()
    queries = queries_at(log)
    candidates = SequentialLinear(config).fit(log).recommend(queries, log.n_items)
    weight = slow_weight(log, config)
    for user in range(1, log.n_users):
        items = log.item_idx[log.indptr[user] : log.indptr[user + 1]]
        expected = history_row(items, config, log.n_items) @ weight
        listed = candidates.item[user] >= 0
        np.testing.assert_allclose(
            candidates.score[user][listed], expected[candidates.item[user][listed]], atol=1e-4
        )


def test_learns_the_successor_of_a_cycle() -> None:
    """Everybody walks the same circle of items: the item after the newest one comes first."""
    n_users, n_items, length = 30, 12, 8
    item = (np.arange(n_users)[:, None] * 5 + np.arange(length)) % n_items
    log = Dataset(
        np.repeat(np.arange(n_users, dtype=np.int32), length),
        item.astype(np.int32).ravel(),
        np.full(n_users * length, 4, dtype=np.float32),
        np.tile(np.arange(length, dtype=np.int64), n_users),
        n_users,
        n_items,
        as_of=length,
    )
    candidates = SequentialLinear(SequentialLinearConfig(l2=0.1)).fit(log).recommend(queries_at(log), 1)
    np.testing.assert_array_equal(candidates.item[:, 0], (item[:, -1] + 1) % n_items)


def test_items_without_an_event_are_never_recommended() -> None:
    log = small_log()
    train = log.where(log.item_idx % 3 != 1)
    candidates = SequentialLinear().fit(train).recommend(queries_at(log), log.n_items)
    recommended = candidates.item[candidates.item >= 0]
    assert len(recommended)
    assert np.isin(recommended, train.item_idx).all()
