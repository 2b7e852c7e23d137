"""Matrix factorisation against normal equations written out, and against planted tastes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.dataset import Dataset, Queries, queries_at
from models.history import FOREVER
from models.recall.mf import MF, Als, Bpr, MFConfig, Ratings, Sgd
from tests.models.recall.small_logs import log_in_order, small_log, two_tastes

TRAINERS = [
    Als(embedding_dim=4, l2=1.0),
    Bpr(embedding_dim=4),
    Ratings(embedding_dim=4, l2=1.0),
    Sgd(embedding_dim=4, l2=1.0),
]


@pytest.fixture(scope="module")
def log() -> Dataset:
    return small_log()


def histories(log: Dataset) -> list[NDArray[np.int64]]:
    """Row numbers of each user with events."""
    return [np.arange(log.indptr[user], log.indptr[user + 1]) for user in range(1, log.n_users)]


def test_als_user_vectors_solve_the_weighted_problem_over_all_items(log: Dataset) -> None:
    alpha, l2 = 5.0, 2.0
    mf = MF(MFConfig(trainer=Als(embedding_dim=4, alpha=alpha, l2=l2), decay=FOREVER)).fit(log)
    item = mf.state["item"].astype(float)
    for user, rows in enumerate(histories(log), start=1):
        rated = np.isin(np.arange(log.n_items), log.item_idx[rows]).astype(float)
        confidence = np.diag(1 + alpha * rated)
        expected = np.linalg.solve(item.T @ confidence @ item + l2 * np.eye(4), item.T @ confidence @ rated)
        np.testing.assert_allclose(mf.state["user"][user], expected, atol=1e-5)


def test_als_item_vectors_are_a_fixed_point_of_the_alternation(log: Dataset) -> None:
    alpha, l2 = 5.0, 2.0
    trainer = Als(embedding_dim=3, alpha=alpha, l2=l2, epochs=100)
    mf = MF(MFConfig(trainer=trainer, decay=FOREVER)).fit(log)
    user, item = mf.state["user"].astype(float), mf.state["item"]
    for column in range(log.n_items):
        rated = np.isin(np.arange(log.n_users), log.user_idx[log.item_idx == column]).astype(float)
        confidence = np.diag(1 + alpha * rated)
        expected = np.linalg.solve(user.T @ confidence @ user + l2 * np.eye(3), user.T @ confidence @ rated)
        np.testing.assert_allclose(item[column], expected, atol=2e-3)


def test_ratings_user_vectors_solve_the_ridge_regression_of_the_residuals(log: Dataset) -> None:
    l2, decay = 2.0, 3.0
    mf = MF(MFConfig(trainer=Ratings(embedding_dim=4, l2=l2), decay=decay)).fit(log)
    vectors, bias = mf.state["item"][:, :4].astype(float), mf.state["item"][:, 4].astype(float)
    mean = log.rating.mean()
    for user, rows in enumerate(histories(log), start=1):
        items = log.item_idx[rows]
        weight = np.exp(-np.arange(len(rows))[::-1] / decay)
        x = np.column_stack([vectors[items], np.ones(len(rows))])
        left = (x.T * weight) @ x + l2 * np.eye(5)
        expected = np.linalg.solve(left, (x.T * weight) @ (log.rating[rows] - mean - bias[items]))
        np.testing.assert_allclose(mf.state["user"][user, :4], expected[:4], atol=1e-4)
        predicted = mean + expected[4] + bias + vectors @ expected[:4]
        np.testing.assert_allclose(mf.state["item"] @ mf.state["user"][user], predicted, atol=1e-4)


def test_ratings_are_predicted_where_biases_and_factors_made_them() -> None:
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(80, 2)), rng.normal(size=(60, 2))
    truth = 3 + rng.normal(size=80)[:, None] + rng.normal(size=60) + users @ items.T
    shown = rng.random(truth.shape) < 0.5
    user, item = np.nonzero(shown)
    trainer = Ratings(embedding_dim=2, l2=0.1, epochs=30)
    mf = MF(MFConfig(trainer=trainer, decay=FOREVER)).fit(log_in_order(user, item, truth[shown]))
    error = (mf.state["user"] @ mf.state["item"].T - truth)[~shown]
    assert np.sqrt((error**2).mean()) < 0.1 * truth.std()


@pytest.mark.parametrize("trainer", TRAINERS[:2])
@pytest.mark.parametrize("use", ["u2i", "i2i"])
def test_a_history_is_answered_with_its_own_taste(trainer: Als | Bpr, use: str) -> None:
    log = two_tastes()
    mf = MF(MFConfig(trainer=trainer, use=use, decay=FOREVER)).fit(log)  # type: ignore[arg-type]
    fitted = queries_at(log, users=np.arange(60, dtype=np.int32))
    unknown = Queries(np.full(60, -1, dtype=np.int32), fitted.at, fitted.start, fitted.end, log)
    for queries in (fitted, unknown):
        taste = mf.recommend(queries, 5).item // 20
        np.testing.assert_array_equal(taste, np.arange(60)[:, None] % 2 * np.ones(5))


@pytest.mark.parametrize("trainer", TRAINERS[:2])
@pytest.mark.parametrize("use", ["u2i", "i2i"])
def test_the_newest_taste_wins(trainer: Als | Bpr, use: str) -> None:
    log = two_tastes()
    changed = queries_at(log, users=np.array([60], dtype=np.int32))
    before = Queries(changed.user_idx, changed.at, changed.start, changed.end - 8, log)
    mf = MF(MFConfig(trainer=trainer, use=use, decay=2.0)).fit(log)  # type: ignore[arg-type]
    assert (mf.recommend(changed, 5).item >= 20).all()
    assert (mf.recommend(before, 5).item < 20).all()


@pytest.mark.parametrize("trainer", TRAINERS)
def test_i2i_scores_are_decayed_sums_of_cosines(trainer: Als | Bpr | Ratings, log: Dataset) -> None:
    decay = 3.0
    mf = MF(MFConfig(trainer=trainer, use="i2i", decay=decay)).fit(log)
    vectors = mf.state["item"][:, :4].astype(float)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    candidates = mf.recommend(queries_at(log), log.n_items)
    for user, rows in enumerate(histories(log), start=1):
        weight = np.exp(-np.arange(len(rows))[::-1] / decay)
        expected = weight @ (unit[log.item_idx[rows]] @ unit.T)
        listed = candidates.item[user] >= 0
        np.testing.assert_allclose(
            candidates.score[user][listed], expected[candidates.item[user][listed]], atol=1e-4
        )


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_seed_decides_the_vectors(trainer: Als | Bpr | Ratings, log: Dataset) -> None:
    config = MFConfig(trainer=trainer)
    first, again, other = (MF(c).fit(log).state for c in (config, config, config.but(seed=1)))
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    assert not np.allclose(first["item"], other["item"])


def test_published_neighbours_are_the_nearest_by_cosine(log: Dataset) -> None:
    mf = MF(MFConfig(trainer=TRAINERS[0], n_neighbours=3)).fit(log)
    neighbours = mf.tables().item_similarity
    assert neighbours is not None
    vectors = mf.state["item"].astype(float)
    for item in range(1, log.n_items):
        length = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vectors[item])
        cosine = np.divide(vectors @ vectors[item], length, out=np.zeros(log.n_items), where=length > 0)
        cosine[item] = -1
        np.testing.assert_allclose(neighbours.score[item], np.sort(cosine)[::-1][:3], atol=1e-5)
        np.testing.assert_allclose(cosine[neighbours.item[item]], neighbours.score[item], atol=1e-5)


def test_ratings_are_those_of_the_ridge_regression_clipped_to_the_scale(log: Dataset) -> None:
    mf = MF(MFConfig(trainer=Ratings(embedding_dim=4, l2=1.0), decay=FOREVER)).fit(log)
    users, items = np.divmod(np.arange(log.n_users * log.n_items), log.n_items)
    found = mf.ratings(queries_at(log), users, items.astype(np.int32))
    expected = np.clip((mf.state["user"][users] * mf.state["item"][items]).sum(1), 1, 5)
    # A user without a history: the mean of all and the item's own deviation.
    expected[: log.n_items] = np.clip(log.rating.mean() + mf.state["item"][:, 4], 1, 5)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"trainer\.kind must be ratings or sgd"):
        MF(MFConfig(trainer=Als(embedding_dim=4))).fit(log).ratings(queries_at(log), users, items)


def test_stochastic_gradients_come_near_the_loss_of_alternating_least_squares(log: Dataset) -> None:
    def loss(trainer: Ratings | Sgd) -> float:
        mf = MF(MFConfig(trainer=trainer, decay=FOREVER)).fit(log)
        item, user = mf.state["item"][:, :-1].astype(float), mf.state["user"].astype(float)
        error = log.rating - (mf.state["user"][log.user_idx] * mf.state["item"][log.item_idx]).sum(1)
        bias = np.where(np.diff(log.indptr) > 0, user[:, -1] - log.rating.mean(), 0)
        of_users = (user[:, : trainer.embedding_dim] ** 2).sum() + (bias**2).sum()
        return float((error**2).sum() + trainer.l2 * ((item**2).sum() + of_users))

    exact = loss(Ratings(embedding_dim=2, l2=1.0, epochs=200))
    found = loss(Sgd(embedding_dim=2, l2=1.0, learning_rate=0.1, epochs=400))
    assert found == pytest.approx(exact, rel=1e-3)
    with pytest.raises(FloatingPointError, match=r"lower trainer\.learning_rate"):
        loss(Sgd(embedding_dim=2, l2=1e-6, learning_rate=1e6))
