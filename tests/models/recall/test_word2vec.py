"""word2vec on logs whose next item is known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from models.dataset import Dataset, queries_at, queries_before
from models.embeddings.cbow import CbowConfig
from models.embeddings.retrieval import HistoryConfig
from models.recall.word2vec import Word2Vec, Word2VecConfig

N_ITEMS = 30
CONFIG = Word2VecConfig(
    training=CbowConfig(embedding_dim=16, epochs=20), history=HistoryConfig(newest=3, decay=0.5)
)


@pytest.fixture(scope="module")
def ring() -> Dataset:
    """Everybody watches 8 neighbours of a ring of films in its order, from a random start."""
    rng = np.random.default_rng(0)
    item = (rng.integers(0, N_ITEMS, 300)[:, None] + np.arange(8)) % N_ITEMS
    user = np.repeat(np.arange(300, dtype=np.int32), 8)
    at = np.tile(np.arange(8), 300)
    return Dataset(user, item.ravel().astype(np.int32), np.ones(2400, np.float32), at, 300, N_ITEMS, 8)


@pytest.mark.parametrize("use", ["u2i", "i2i"])
def test_the_successor_comes_first(ring: Dataset, use: str) -> None:
    model = Word2Vec(CONFIG.but(use=use)).fit(ring)  # type: ignore[arg-type]
    queries = queries_at(ring)
    successor = (ring.item_idx[queries.end - 1] + 1) % N_ITEMS
    assert np.mean(model.recommend(queries, 1).item[:, 0] == successor) > 0.95


def test_by_gensim_the_neighbours_of_the_ring_come_first(ring: Dataset) -> None:
    model = Word2Vec(CONFIG.but(trainer="gensim")).fit(ring)
    queries = queries_at(ring)
    newest = ring.item_idx[queries.end - 1]
    found = model.recommend(queries, 1).item[:, 0]
    ahead = (found - newest) % N_ITEMS
    assert np.mean((ahead >= 1) & (ahead <= 3)) > 0.9


def test_scores_are_the_decayed_mean_against_the_outputs(ring: Dataset) -> None:
    model = Word2Vec(CONFIG).fit(ring)
    queries = queries_before(ring, np.array([3, 2, 8 + 1, 16]))
    found = model.recommend(queries, N_ITEMS, filter_seen=False)
    inputs, outputs = model.state["input"], model.state["output"]
    for row in range(3):
        newest = ring.item_idx[queries.start[row] : queries.end[row]][::-1][:3]
        weight = np.exp(-np.arange(len(newest)) / 0.5)
        user = weight @ inputs[newest] / weight.sum()
        assert_allclose(found.score[row], (outputs @ user)[found.item[row]], rtol=1e-4, atol=1e-5)
    assert (found.item[3] == -1).all()


def test_neighbour_lists_are_what_i2i_adds_up(ring: Dataset) -> None:
    model = Word2Vec(CONFIG.but(use="i2i", n_neighbours=5)).fit(ring)
    table = model.tables().item_similarity
    assert table is not None
    logit = model.state["input"] @ model.state["output"].T
    best = np.sort(np.where(np.eye(N_ITEMS, dtype=bool), -np.inf, logit), axis=1)[:, :-6:-1]
    assert_allclose(table.score, 1 / (1 + np.exp(-best)), rtol=1e-4)
    queries = queries_before(ring, np.array([1]))
    found = model.recommend(queries, 5, filter_seen=False)
    assert_array_equal(found.item[0], table.item[ring.item_idx[0]])
    assert_allclose(found.score[0], table.score[ring.item_idx[0]], rtol=1e-6)
