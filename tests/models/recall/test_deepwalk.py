"""DeepWalk on a log of two communities."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from models.dataset import Dataset, queries_at
from models.embeddings.skip_gram import SkipGramConfig
from models.embeddings.walks import WalkConfig
from models.recall.deepwalk import DeepWalk, DeepWalkConfig

CONFIG = DeepWalkConfig(
    walks=WalkConfig(per_node=20, length=20), training=SkipGramConfig(embedding_dim=16, epochs=2)
)
N_USERS, N_ITEMS = 60, 40


@pytest.fixture(scope="module")
def log() -> Dataset:
    """Even users watch even items, odd users odd ones; the last user and two last items take no part."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(N_USERS - 1, dtype=np.int32), 8)
    halves = [rng.choice(N_ITEMS // 2 - 1, 8, replace=False) for _ in range(N_USERS - 1)]
    item = 2 * np.concatenate(halves).astype(np.int32) + user % 2
    at = np.tile(np.arange(8), N_USERS - 1)
    return Dataset(user, item, np.ones(len(item), np.float32), at, N_USERS, N_ITEMS, 8)


@pytest.fixture(scope="module")
def fitted(log: Dataset) -> DeepWalk:
    return DeepWalk(CONFIG).fit(log)


@pytest.mark.parametrize("use", ["u2i", "i2i"])
@pytest.mark.parametrize("fitted_user", [True, False])
def test_recommendations_stay_in_the_community(
    log: Dataset, fitted: DeepWalk, use: str, fitted_user: bool
) -> None:
    model = DeepWalk(CONFIG.but(use=use))  # type: ignore[arg-type]
    model.state = fitted.state
    queries = queries_at(log)
    if not fitted_user:
        queries = replace(queries, user_idx=np.full_like(queries.user_idx, -1))
    found = model.recommend(queries, 8).item[:-1]
    assert (found >= 0).all()
    assert_array_equal(found % 2, np.broadcast_to(np.arange(N_USERS - 1)[:, None] % 2, found.shape))


def test_ucf_adds_up_the_newest_items_of_the_nearest_users(log: Dataset) -> None:
    model = DeepWalk(CONFIG.but(use="ucf", n_neighbours=7, trainer="gensim")).fit(log)
    found = model.recommend(queries_at(log), 5, filter_seen=False)
    user = model.state["user"]
    unit = user / np.maximum(np.linalg.norm(user, axis=1, keepdims=True), 1e-9)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -1)
    weight = np.exp(-np.arange(8)[::-1] / CONFIG.history.decay)
    for query in range(N_USERS - 1):
        nearest = np.argsort(-cosine[query])[:7]
        score = np.zeros(N_ITEMS)
        for other in nearest:
            score[log.item_idx[log.user_idx == other]] += cosine[query, other] * weight
        assert_allclose(found.score[query], np.sort(score)[:-6:-1], rtol=1e-4)
        assert_allclose(score[found.item[query]], found.score[query], rtol=1e-4)
        assert (found.item[query] % 2 == query % 2).all()
    assert (found.item[-1] == -1).all()


def test_a_known_user_is_searched_by_its_own_vector(log: Dataset, fitted: DeepWalk) -> None:
    found = fitted.recommend(queries_at(log), N_ITEMS, filter_seen=False)
    logit = fitted.state["user"] @ fitted.state["output"].T
    for user in range(N_USERS - 1):
        assert_allclose(found.score[user, :-2], logit[user, found.item[user, :-2]], rtol=1e-4, atol=1e-5)
    assert (found.item[:-1, -2:] == -1).all()  # the items nobody watched
    assert (found.item[-1] == -1).all()  # the user who watched nothing


def test_nodes_without_an_edge_have_no_vector(fitted: DeepWalk) -> None:
    tables = fitted.tables()
    assert tables.item_embeddings is not None
    assert tables.user_embeddings is not None
    assert_array_equal(tables.item_embeddings.any(axis=1), np.arange(N_ITEMS) < N_ITEMS - 2)
    assert_array_equal(tables.user_embeddings.any(axis=1), np.arange(N_USERS) < N_USERS - 1)
