"""ItemCF and Swing against slow oracles that follow the formulas word for word."""

from itertools import combinations

import numpy as np
import pytest
from numba import get_num_threads, set_num_threads
from numpy.typing import NDArray

from models.dataset import Dataset, queries_at
from models.history import decayed_history, interactions
from models.recall.item_cf import ItemCF, ItemCFConfig
from models.recall.swing import LANES, USERS, Swing, SwingConfig
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


def swing_of(log: Dataset, alpha: float = 1.0, **bounds: float) -> NDArray[np.float64]:
    """The published similarities of all pairs (I, I), by default with none of them drawn."""
    config = SwingConfig(alpha=alpha, n_neighbours=log.n_items).but(**{"max_overlap": log.n_items} | bounds)
    near = Swing(config).fit(log).tables().item_similarity
    assert near is not None
    similarity = np.zeros((log.n_items, log.n_items))
    row, rank0 = np.nonzero(near.item >= 0)
    similarity[row, near.item[row, rank0]] = near.score[row, rank0]
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
    np.testing.assert_allclose(swing_of(log, alpha), slow_swing(log, alpha), rtol=1e-5, atol=1e-6)


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
    np.testing.assert_allclose(swing_of(log), expected, rtol=1e-5, atol=1e-6)


def test_swing_of_two_users_by_hand() -> None:
    # Users rate {0, 1, 2} and {0, 1}: one pair, which shares two items.
    user, item = np.array([0, 0, 0, 1, 1], dtype=np.int32), np.array([0, 1, 2, 0, 1], dtype=np.int32)
    log = Dataset(user, item, np.ones(5, dtype=np.float32), np.arange(5), 2, 3, 5)
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[1, 0] = 1 / np.sqrt(3 * 2) / (1 + 2)
    np.testing.assert_allclose(swing_of(log), expected, rtol=1e-6)


def test_a_repeated_rating_is_one_interaction() -> None:
    log = small_log(4)
    twice = Dataset(
        *(np.repeat(column, 2) for column in (log.user_idx, log.item_idx, log.rating, log.at)),
        log.n_users,
        log.n_items,
        log.as_of,
    )
    np.testing.assert_array_equal(swing_of(twice), swing_of(log))


def test_swing_of_groups_of_users_is_the_sum_over_them_scaled_to_all_pairs() -> None:
    log = small_log(9, n_users=40)
    members = np.flatnonzero(np.bincount(log.user_idx) > 1)
    found = swing_of(log, max_users=-(-len(members) // 2), seed=3)
    halves = np.array_split(np.random.default_rng(3).permutation(members), 2)
    parts = [slow_swing(log.where(np.isin(log.user_idx, half)), 1.0) for half in halves]
    pairs = [len(half) * (len(half) - 1) for half in halves]
    scale = len(members) * (len(members) - 1) / sum(pairs)
    np.testing.assert_allclose(found, sum(parts) * scale, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bound", [{"max_users": 25}, {"max_overlap": 3}])
def test_a_sample_of_pairs_of_users_is_right_on_average(bound: dict[str, float]) -> None:
    log = small_log(10)
    exact = slow_swing(log, 1.0)
    drawn = np.array([swing_of(log, seed=seed, **bound) for seed in range(200)])
    error = drawn.mean(0) - exact
    assert (drawn != drawn[0]).any()
    assert (np.abs(error) <= 6 * drawn.std(0) / np.sqrt(len(drawn)) + 1e-5).mean() > 0.999
    assert abs(error.sum()) < 0.02 * exact.sum()


def test_swing_beyond_its_memory_knows_the_most_rated_films_alone() -> None:
    log = small_log(11)
    raters = np.bincount(log.item_idx, minlength=log.n_items)
    gib = 4 * 20**2 / 2 / 2**30  # twenty items
    found = swing_of(log, memory_gib=gib * 1.01)
    among = np.flatnonzero(found.any(1))
    assert len(among) == 20
    assert raters[among].min() >= np.delete(raters, among).max()
    # Overlaps, and so the similarities, are those over these items; the weights of users are over all.
    whole = slow_swing(log, 1.0)
    assert (found[np.ix_(among, among)] >= whole[np.ix_(among, among)] * (1 - 1e-5)).all()
    covered = Swing(SwingConfig(memory_gib=gib * 1.01)).fit(log).state["covered"]
    assert covered == pytest.approx(raters[among].sum() / log.n_events)
    assert Swing().fit(log).state["covered"] == raters[raters > 1].sum() / log.n_events


def test_swing_of_a_log_without_pairs_recommends_nothing() -> None:
    log = small_log(12)
    alone = log.where(log.user_idx == 5)
    model = Swing().fit(alone)
    assert (model.recommend(queries_at(log), 5).item == -1).all()
    assert (Swing().fit(log.where(log.user_idx < 0)).state["neighbour"] == -1).all()


@pytest.mark.parametrize(
    "config",
    [SwingConfig(max_overlap=3, max_users=200), ItemCFConfig()],
    ids=["swing", "item_cf"],
)
def test_lists_do_not_depend_on_the_threads(config: SwingConfig | ItemCFConfig) -> None:
    log = small_log(13, n_users=600, n_items=90)
    model = Swing if isinstance(config, SwingConfig) else ItemCF
    before = get_num_threads()
    states = []
    for threads in {1, before}:
        set_num_threads(threads)
        states.append(model(config).fit(log).state)
    set_num_threads(before)
    for state in states:
        for name, value in state.items():
            np.testing.assert_array_equal(value, states[0][name])


def test_swing_publishes_its_largest_similarities() -> None:
    log = small_log(5)
    published = Swing(SwingConfig(n_neighbours=4, max_overlap=log.n_items)).fit(log).tables().item_similarity
    assert published is not None
    largest = -np.sort(-slow_swing(log, 1.0), axis=1)[:, :4]
    np.testing.assert_allclose(np.where(published.item < 0, 0, published.score), largest, rtol=1e-5)


def test_swing_scores_by_the_damped_similarity() -> None:
    log = small_log(6)
    queries = queries_at(log)
    config = SwingConfig(damping=0.5, n_neighbours=log.n_items, decay=3.0, max_overlap=log.n_items)
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
