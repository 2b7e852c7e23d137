"""Deep Retrieval: chances, beams, the assignment of paths, and a log whose next item is known."""

from itertools import product

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from models.dataset import Dataset, Longs, queries_at
from models.embeddings.retrieval import HistoryConfig
from models.recall.deep_retrieval import DeepRetrieval, DeepRetrievalConfig, assign_paths
from models.recall.path_network import PathNetwork

SMALL = DeepRetrievalConfig(
    depth=3,
    width=4,
    paths_per_item=2,
    beam=6,
    embedding_dim=16,
    history=HistoryConfig(newest=3, decay=0.5),
    epochs=8,
    penalty=1e-5,
    n_negatives=20,
    batch_size=128,
    learning_rate=0.02,
)
N_ITEMS = 24
EVERY_PATH = torch.tensor(list(product(range(4), repeat=3)))  # in the order of their numbers


@pytest.fixture(scope="module")
def ring() -> Dataset:
    """Everybody watches 8 neighbours of a ring of films in its order; the last film is not on the ring."""
    rng = np.random.default_rng(0)
    item = (rng.integers(0, N_ITEMS - 1, 200)[:, None] + np.arange(8)) % (N_ITEMS - 1)
    user = np.repeat(np.arange(200, dtype=np.int32), 8)
    at = np.tile(np.arange(8), 200)
    return Dataset(user, item.ravel().astype(np.int32), np.ones(1600, np.float32), at, 200, N_ITEMS, 8)


@pytest.fixture(scope="module")
def fitted(ring: Dataset) -> DeepRetrieval:
    return DeepRetrieval(SMALL).fit(ring)


def network(beam: int) -> tuple[PathNetwork, torch.Tensor]:
    """A random network and three users."""
    torch.manual_seed(0)
    made = PathNetwork(N_ITEMS, SMALL.but(beam=beam))
    return made, 5 * torch.randn(3, SMALL.embedding_dim)


@torch.no_grad()
def test_chances_of_all_paths_sum_to_one() -> None:
    made, user = network(6)
    chance = made.log_chance(user, EVERY_PATH.expand(3, -1, -1)).exp()
    assert_allclose(chance.sum(1), 1, rtol=1e-5)
    assert chance.std() > 0.01


@torch.no_grad()
def test_a_beam_as_wide_as_the_paths_sorts_them_all() -> None:
    made, user = network(64)
    chance = made.log_chance(user, EVERY_PATH.expand(3, -1, -1))
    path, found = made.beam_search(user)
    assert_array_equal(path, chance.argsort(dim=1, descending=True))
    assert_allclose(found, chance.sort(dim=1, descending=True).values, rtol=1e-5)


@torch.no_grad()
def test_a_narrow_beam_keeps_the_best_prefixes() -> None:
    """Against a beam search written out for one user at a time."""
    made, user = network(3)
    path, found = made.beam_search(user)
    for row in range(3):
        prefixes: list[tuple[int, ...]] = [()]
        for depth in range(3):
            longer = [(*prefix, node) for prefix in prefixes for node in range(4)]
            # The chance of a prefix is that of all paths that begin with it.
            chances = []
            for prefix in longer:
                paths = EVERY_PATH[(EVERY_PATH[:, : depth + 1] == torch.tensor(prefix)).all(1)]
                chances.append(float(made.log_chance(user[row : row + 1], paths[None]).exp().sum()))
            prefixes = [longer[best] for best in np.argsort(chances)[::-1][:3]]
        assert path[row].tolist() == [a * 16 + b * 4 + c for a, b, c in prefixes]
        assert_allclose(found[row].exp(), np.sort(chances)[::-1][:3], rtol=1e-4)


def assign_slowly(chance: np.ndarray, counts: Longs, paths: Longs, price: float) -> Longs:
    """The M-step as the paper states it, on a dense (items, paths) matrix."""
    paths = paths.copy()
    for item in range(len(paths)):
        chosen: list[int] = []
        for slot in range(min(paths.shape[1], np.count_nonzero(chance[item]))):
            others = np.delete(paths.ravel(), item * paths.shape[1] + slot)
            gains = {}
            for path in np.flatnonzero(chance[item]):
                size = np.count_nonzero(others == path)
                growth = (size + 1) ** 4 / 4 - size**4 / 4
                if path not in chosen:
                    gains[path] = counts[item] * np.log(chance[item, [*chosen, path]].sum()) - price * growth
            chosen.append(max(gains, key=lambda path: gains[path]))
            paths[item, slot] = chosen[-1]
    return paths


@pytest.mark.parametrize("price", [0.0, 0.01, 1.0, 100.0])
@pytest.mark.parametrize("seed", range(5))
def test_assignment_is_the_greedy_one(price: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    chance = rng.random((30, 12)) * (rng.random((30, 12)) < 0.4)
    chance[3] = 0
    counts, paths = rng.integers(1, 50, 30), rng.integers(0, 12, (30, 3))
    assigned = assign_paths(csr_array(chance), counts, paths, 12, price)
    assert_array_equal(assigned, assign_slowly(chance, counts, paths, price))
    assert_array_equal(assigned[3], paths[3])


def test_the_penalty_spreads_the_items() -> None:
    rng = np.random.default_rng(0)
    chance = csr_array(rng.random((60, 12)) ** 8)
    counts, paths = np.ones(60, dtype=np.int64), rng.integers(0, 12, (60, 1))
    crowds = [
        np.bincount(assign_paths(chance, counts, paths, 12, price).ravel(), minlength=12).max()
        for price in (0.0, 0.001, 1e6)
    ]
    assert crowds[0] > crowds[1] > crowds[2]
    assert crowds[2] <= 6


def test_the_successor_is_found_and_comes_first(ring: Dataset, fitted: DeepRetrieval) -> None:
    queries = queries_at(ring)
    successor = (ring.item_idx[queries.end - 1] + 1) % (N_ITEMS - 1)
    assert np.mean(fitted.recommend(queries, 1).item[:, 0] == successor) > 0.8


def test_candidates_are_the_items_on_the_paths_of_the_beam(ring: Dataset, fitted: DeepRetrieval) -> None:
    narrow, wide = (DeepRetrieval(SMALL.but(beam=beam)) for beam in (1, 64))
    narrow.state = wide.state = fitted.state
    queries = queries_at(ring)
    everything = wide.recommend(queries, N_ITEMS, filter_seen=False)
    assert_array_equal((everything.item >= 0).sum(1), N_ITEMS - 1)  # all but the item without an event
    one_path = narrow.recommend(queries, N_ITEMS, filter_seen=False)
    sharing = [set(np.flatnonzero((fitted.state["paths"] == path).any(1)).tolist()) for path in range(64)]
    for row in one_path.item.tolist():
        assert set(row) - {-1} in sharing


def test_without_a_history_nothing_is_recommended(ring: Dataset, fitted: DeepRetrieval) -> None:
    nobody = queries_at(ring.before(0))
    assert (fitted.recommend(nobody, 5).item == -1).all()
