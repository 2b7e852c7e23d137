"""Nearest items against brute force, ties and seen items included."""

from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from models.candidates import Neighbours
from models.dataset import Floats, Ints
from models.embeddings.ann import (
    AnnConfig,
    build_index,
    nearest,
    nearest_neighbours,
    recall_loss,
    recommend_nearest,
)
from tests.models.histories import queries_of

EVERYTHING = [AnnConfig(), AnnConfig(kind="ivf", nprobe=1_000)]
"""Configurations whose search is exact."""


def brute_force(items: Floats, vectors: Floats, histories: list[list[int]], n: int) -> Ints:
    """Query by query: all items with a vector, unseen, by descending score, then ascending item."""
    found = np.full((len(vectors), n), -1, dtype=np.int32)
    for row, (vector, history) in enumerate(zip(vectors, histories, strict=True)):
        allowed = [item for item in range(len(items)) if items[item].any() and item not in history]
        best = sorted(allowed, key=lambda item: (-float(items[item] @ vector), item))[:n]
        if vector.any():
            found[row, : len(best)] = best
    return found


@pytest.mark.parametrize("config", EVERYTHING)
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), n_items=st.integers(1, 40), n=st.integers(0, 45))
def test_search_is_brute_force_with_ties_and_seen_items(
    config: AnnConfig, seed: int, n_items: int, n: int
) -> None:
    rng = np.random.default_rng(seed)
    # Small whole numbers: scores are exact, ties and zero vectors abound.
    items = rng.integers(-1, 2, (n_items, 3)).astype(np.float32)
    vectors = rng.integers(-1, 2, (8, 3)).astype(np.float32)
    histories = [rng.integers(0, n_items, rng.integers(0, 30)).tolist() for _ in vectors]
    queries = queries_of(histories, n_items)
    found = recommend_nearest(build_index(items, config), vectors, queries, n)
    assert_array_equal(found.item, brute_force(items, vectors, histories, n))
    scores = np.einsum("bd,bnd->bn", vectors, items[found.item])
    assert_array_equal(found.score, np.where(found.item >= 0, scores, -np.inf))
    unfiltered = recommend_nearest(build_index(items, config), vectors, queries, n, filter_seen=False)
    assert_array_equal(unfiltered.item, brute_force(items, vectors, [[]] * len(vectors), n))


def test_cosine_does_not_see_lengths() -> None:
    rng = np.random.default_rng(0)
    items, vectors = rng.normal(size=(60, 5)).astype(np.float32), rng.normal(size=(9, 5)).astype(np.float32)
    longer = items * rng.uniform(0.1, 10, (60, 1)).astype(np.float32)
    queries = queries_of([[1, 2], *([[]] * 8)], 60)
    found = recommend_nearest(build_index(longer, AnnConfig(metric="cosine")), 7 * vectors, queries, 10)
    unit = items / np.linalg.norm(items, axis=1, keepdims=True)
    assert_array_equal(found.item, brute_force(unit, vectors, [[1, 2], *([[]] * 8)], 10))
    assert_allclose(
        found.score[:, 0], (unit[found.item[:, 0]] * vectors).sum(1) / np.linalg.norm(vectors, axis=1), 1e-5
    )


def test_neighbours_leave_the_item_itself_out() -> None:
    items = np.array([[2, 0], [1, 0], [0, 1], [0, 0]], dtype=np.float32)
    neighbours = nearest_neighbours(build_index(items), items, 3)
    assert_array_equal(neighbours.item, [[1, 2, -1], [0, 2, -1], [0, 1, -1], [-1, -1, -1]])
    assert_array_equal(neighbours.score[1], [2, 0, -np.inf])


def clusters(n: int = 3000, seed: int = 0) -> Floats:
    """(n, 8) vectors around 30 centres."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(30, 8))
    return (centres[rng.integers(0, 30, n)] + 0.4 * rng.normal(size=(n, 8))).astype(np.float32)


@pytest.mark.parametrize(
    ("easily", "poorly"),
    [
        ({"kind": "hnsw"}, {"kind": "hnsw", "M": 2, "efConstruction": 2, "efSearch": 1}),
        ({"kind": "ivf", "nprobe": 66}, {"kind": "ivf", "nprobe": 1}),
    ],
    ids=["hnsw", "ivf"],
)
@pytest.mark.parametrize("metric", ["inner_product", "cosine"])
def test_approximate_search_finds_nearly_all_and_says_how_much_it_misses(
    easily: dict[str, Any], poorly: dict[str, Any], metric: Any
) -> None:
    items = clusters()
    exact = nearest(build_index(items, AnnConfig(kind="flat", metric=metric)), items[:200], 10)
    easy = AnnConfig(metric=metric, **easily)
    assert recall_loss(exact, nearest(build_index(items, easy), items[:200], 10)) < 0.1
    # Poorly linked, hardly searched: the measure must notice.
    poor = AnnConfig(metric=metric, **poorly)
    assert 0.1 < recall_loss(exact, nearest(build_index(items, poor), items[:200], 10)) <= 1


def test_recall_loss_is_the_fraction_of_missed_neighbours() -> None:
    exact = np.array([[0, 1, 2], [3, 4, -1], [-1, -1, -1]], dtype=np.int32)
    found = np.array([[1, 7, 0], [4, -1, -1], [2, 5, 6]], dtype=np.int32)
    scores = np.zeros((3, 3), dtype=np.float32)
    # Item 2 is missed by the first query, though the third found it, and item 3 by the second.
    assert recall_loss(Neighbours(exact, scores), Neighbours(found, scores)) == 2 / 5
    assert recall_loss(Neighbours(exact, scores), Neighbours(exact, scores)) == 0


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_approximate_indexes_are_the_same_each_time(kind: Any) -> None:
    items = clusters()
    config = AnnConfig(kind=kind)
    queries = queries_of([[] for _ in range(300)], len(items))
    one = recommend_nearest(build_index(items, config), items[:300], queries, 20)
    two = recommend_nearest(build_index(items, config), items[:300], queries, 20)
    assert_array_equal(one.item, two.item)
    assert_array_equal(one.score, two.score)


@pytest.mark.parametrize("kind", [{"kind": "hnsw"}, {"kind": "ivf", "nprobe": 110}], ids=["hnsw", "ivf"])
def test_approximate_search_filters_seen_items_exactly(kind: dict[str, Any]) -> None:
    """The whole neighbourhood is seen: n others must be found beyond it."""
    items = clusters()
    index = build_index(items, AnnConfig(metric="cosine", **kind))
    nearest = np.argsort(-(items @ items[0]) / np.linalg.norm(items, axis=1))[:400]
    queries = queries_of([nearest.tolist()], len(items))
    found = recommend_nearest(index, items[:1], queries, 20).item[0]
    assert len(set(found.tolist())) == 20
    assert not set(found.tolist()) & {-1, *nearest.tolist()}


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf"])
def test_a_list_depends_neither_on_threads_nor_on_the_other_queries(kind: Any) -> None:
    items = clusters(8000)
    vectors = items[:1500] + np.float32(0.01)
    threads = faiss.omp_get_max_threads()
    try:
        found = []
        for n_threads in (1, 2):
            faiss.omp_set_num_threads(n_threads)
            found.append(nearest(build_index(items, AnnConfig(kind=kind)), vectors, 50))
    finally:
        faiss.omp_set_num_threads(threads)
    one, two = found
    alone = nearest(build_index(items, AnnConfig(kind=kind)), vectors[1203:1210], 50)
    for first, second in ((one, two), (alone, Neighbours(one.item[1203:1210], one.score[1203:1210]))):
        assert_array_equal(first.item, second.item)
        assert_array_equal(first.score, second.score)


def test_the_index_grows_with_the_catalogue() -> None:
    config = AnnConfig(flat_up_to=10, hnsw_up_to=100)
    assert [config.kind_for(n) for n in (0, 10, 11, 100, 101)] == ["flat", "flat", "hnsw", "hnsw", "ivf"]
    assert AnnConfig(kind="ivf").kind_for(1) == "ivf"


@pytest.mark.parametrize("config", [AnnConfig(), AnnConfig(kind="hnsw"), AnnConfig(kind="ivf")])
def test_no_vector_no_candidate(config: AnnConfig) -> None:
    nothing = np.zeros((5, 4), dtype=np.float32)
    found = nearest_neighbours(build_index(nothing, config), nothing + 1, 3)
    assert (found.item == -1).all()
    assert np.isneginf(found.score).all()
