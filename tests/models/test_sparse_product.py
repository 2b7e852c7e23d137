"""Sparse scores and neighbour lists against dense arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

from models.candidates import Neighbours
from models.dataset import Queries
from models.history import decayed_history
from models.neighbours import nearest, to_sparse
from models.sparse_product import recommend_by_product, score_by_product, sparse_from_state, sparse_state
from models.top_n import recommend_by_score
from tests.models.histories import queries_of


def some_matrix(shape: tuple[int, int], density: float, seed: int) -> csr_array:
    return csr_array(random_array(shape, density=density, rng=np.random.default_rng(seed)), dtype=np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_product_is_the_dense_one_where_a_path_leads(seed: int) -> None:
    left, right = some_matrix((7, 12), 0.2, seed), some_matrix((12, 9), 0.3, seed + 100)
    reached = (left.toarray() != 0).astype(int) @ (right.toarray() != 0).astype(int) > 0
    expected = np.where(reached, left.toarray() @ right.toarray(), -np.inf)
    np.testing.assert_allclose(score_by_product(left, right), expected, rtol=1e-5)


def test_a_path_of_weight_zero_is_still_a_path() -> None:
    left, right = csr_array(np.array([[1.0, 2.0]])), csr_array(np.array([[2.0], [-1.0]]))
    np.testing.assert_array_equal(score_by_product(left, right), [[0.0]])


@given(
    histories=st.lists(st.lists(st.integers(0, 14), max_size=20), min_size=1, max_size=80),
    n=st.integers(0, 16),
    seed=st.integers(0, 99),
    filter_seen=st.booleans(),
)
def test_best_of_a_product_are_the_best_of_its_dense_scores(
    histories: list[list[int]], n: int, seed: int, filter_seen: bool
) -> None:
    weights = some_matrix((15, 15), 0.3, seed)
    weights.data = np.round(weights.data * 4)  # ties, and weights of zero
    queries = queries_of(histories, 15)

    def history(block: Queries) -> csr_array:
        return decayed_history(block, 3.0)

    expected = recommend_by_score(lambda b: score_by_product(history(b), weights), queries, n, filter_seen)
    found = recommend_by_product(history, weights, queries, n, filter_seen)
    np.testing.assert_array_equal(found.item, expected.item)
    np.testing.assert_array_equal(found.score, expected.score)


def test_sparse_state_round_trip() -> None:
    matrix = some_matrix((6, 8), 0.3, 1)
    back = sparse_from_state("taste", sparse_state("taste", matrix), 8)
    np.testing.assert_array_equal(back.toarray(), matrix.toarray())


def test_nearest_leaves_out_what_is_not_similar() -> None:
    near = nearest(np.array([[0.5, 0.0, 2.0, -1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.1]]), 3)
    np.testing.assert_array_equal(near.item, [[2, 0, -1], [-1, -1, -1], [0, 1, 2]])
    np.testing.assert_array_equal(near.score, [[2, 0.5, -np.inf], [-np.inf] * 3, [1, 1, 1]])


def test_neighbours_score_what_they_are_near_to() -> None:
    near = Neighbours(
        np.array([[1, 2], [0, -1], [-1, -1]], dtype=np.int32),
        np.array([[0.5, 0.25], [1.0, -np.inf], [-np.inf, -np.inf]], dtype=np.float32),
    )
    np.testing.assert_array_equal(to_sparse(near, 3).toarray(), [[0, 0.5, 0.25], [1, 0, 0], [0, 0, 0]])
    history = csr_array(np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32))
    np.testing.assert_array_equal(
        score_by_product(history, to_sparse(near, 3)), [[1.0, 1.0, 0.5], [-np.inf, -np.inf, -np.inf]]
    )
