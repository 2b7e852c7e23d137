"""Vectors of histories and lists of neighbours against arithmetic by hand."""

import numpy as np
import pytest

from models.candidates import Neighbours
from models.dataset import Dataset, queries_at
from models.embeddings.ann import build_index
from models.embeddings.retrieval import (
    HistoryConfig,
    history_vectors,
    likely_next,
    recommend_by_neighbours,
)

HISTORY = HistoryConfig(newest=2, decay=1.0)


@pytest.fixture
def log() -> Dataset:
    """User 0 watched items 0, 1, 2 in this order, user 1 nothing."""
    item = np.array([0, 1, 2], dtype=np.int32)
    return Dataset(np.zeros(3, np.int32), item, np.ones(3, np.float32), np.arange(3), 2, 5, 3)


def test_the_vector_of_a_history_is_the_decayed_mean_of_its_newest_items(log: Dataset) -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    found = history_vectors(queries_at(log), vectors, HISTORY)
    older = np.exp(-1)
    np.testing.assert_allclose(found[0], (vectors[2] + older * vectors[1]) / (1 + older), rtol=1e-5)
    np.testing.assert_array_equal(found[1], 0)


def test_likely_next_is_the_sigmoid_of_inputs_times_outputs() -> None:
    rng = np.random.default_rng(1)
    inputs, outputs = (rng.normal(size=(6, 3)).astype(np.float32) for _ in range(2))
    outputs[4] = 0  # an item without an event
    found = likely_next(build_index(outputs), inputs, 5)
    chance = 1 / (1 + np.exp(-inputs @ outputs.T))
    for item in range(6):
        others = [other for other in range(6) if other not in (item, 4)]
        expected = sorted(others, key=lambda other: -chance[item, other])
        padding = 5 - len(expected)
        assert found.item[item].tolist() == expected + [-1] * padding
        np.testing.assert_allclose(found.score[item, : len(expected)], chance[item, expected], rtol=1e-5)


def test_lists_of_the_newest_items_are_summed(log: Dataset) -> None:
    neighbours = Neighbours(
        np.array([[3, 4], [3, 4], [4, -1], [0, -1], [0, -1]], dtype=np.int32),
        np.array([[9, 9], [0.5, 0.25], [1, -np.inf], [1, -np.inf], [1, -np.inf]], dtype=np.float32),
    )
    found = recommend_by_neighbours(neighbours, queries_at(log), 3, HISTORY)
    older = np.exp(-1)
    # Item 0 is too old to count.
    assert found.item.tolist() == [[4, 3, -1], [-1, -1, -1]]
    np.testing.assert_allclose(found.score[0], [1 + 0.25 * older, 0.5 * older, -np.inf], rtol=1e-6)
