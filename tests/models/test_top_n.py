"""The best n of rows of scores against sorting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models import top_n as module
from models.dataset import Floats, Mask, Queries
from models.top_n import best_of_rows, products, recommend_by_score, top_n
from tests.models.histories import queries_of

SCORES = st.one_of(
    st.sampled_from([-np.inf, np.nan, 0.0, -0.0, 1.0, np.inf]), st.floats(-3, 3, width=16).map(float)
)
"""Few distinct numbers, so that ties abound, and those that are none."""


def sorted_best(row: Floats, left_out: set[int], n: int) -> list[tuple[int, float]]:
    """Items by descending score, then by ascending index; -inf and nan are no scores."""
    able = [
        (item, float(score))
        for item, score in enumerate(row)
        if item not in left_out and score == score and score > -np.inf
    ]
    return sorted(able, key=lambda pair: (-pair[1], pair[0]))[:n]


@st.composite
def problems(draw: st.DrawFn) -> tuple[Floats, list[list[int]], int]:
    rows, n_items = draw(st.integers(1, 4)), draw(st.integers(1, 20))
    scores = draw(arrays(np.float32, (rows, n_items), elements=SCORES))
    history = st.lists(st.integers(0, n_items - 1), max_size=2 * n_items)
    return scores, [draw(history) for _ in range(rows)], draw(st.integers(0, 25))


def assert_is_sorted_best(
    item: np.ndarray, score: np.ndarray, expected: list[list[tuple[int, float]]], n: int
) -> None:
    assert item.shape == score.shape == (len(expected), n)
    for found, scored, best in zip(item, score, expected, strict=True):
        padding = n - len(best)
        assert found.tolist() == [i for i, _ in best] + [-1] * padding
        np.testing.assert_array_equal(scored, np.float32([s for _, s in best] + [-np.inf] * padding))


@given(problems())
def test_the_best_are_those_of_sorting(problem: tuple[Floats, list[list[int]], int]) -> None:
    scores, histories, n = problem
    queries = queries_of(histories, scores.shape[1])
    found = top_n(scores, queries, n)
    expected = [sorted_best(row, set(history), n) for row, history in zip(scores, histories, strict=True)]
    assert_is_sorted_best(found.item, found.score, expected, n)
    everything = [sorted_best(row, set(), n) for row in scores]
    unfiltered = top_n(scores, queries, n, filter_seen=False)
    assert_is_sorted_best(unfiltered.item, unfiltered.score, everything, n)
    assert_is_sorted_best(*best_of_rows(scores, n), everything, n)


@given(problems(), st.data())
def test_only_some_items_and_only_with_a_history(
    problem: tuple[Floats, list[list[int]], int], data: st.DataObject
) -> None:
    scores, histories, n = problem
    among: Mask = data.draw(arrays(np.bool_, scores.shape[1]))
    queries = queries_of(histories, scores.shape[1])
    found = recommend_by_score(
        lambda block: scores[block.user_idx], queries, n, among=among, needs_history=True
    )
    expected = [
        sorted_best(row, {*history, *np.flatnonzero(~among).tolist()}, n) if history else []
        for row, history in zip(scores, histories, strict=True)
    ]
    assert_is_sorted_best(found.item, found.score, expected, n)


def test_blocks_of_queries_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).normal(size=(11, 9)).astype(np.float32)
    queries = queries_of([[number % 9] for number in range(11)], 9)
    monkeypatch.setattr(module, "BLOCK", 4)
    sizes = []

    def score(block: Queries) -> Floats:
        sizes.append(len(block))
        return scores[block.user_idx]

    found = recommend_by_score(score, queries, 5)
    whole = top_n(scores, queries, 5)
    assert sizes == [4, 4, 3]
    np.testing.assert_array_equal(found.item, whole.item)
    np.testing.assert_array_equal(found.score, whole.score)


def test_products_of_a_row_are_the_same_beside_any_other_rows() -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((n, 33)).astype(np.float32) for n in (11, 1_100))
    whole = products(left, right)
    np.testing.assert_allclose(whole, left.astype(np.float64) @ right.T, atol=1e-5)
    for begin, end in ((0, 1), (3, 6), (2, 11), (5, 5)):
        np.testing.assert_array_equal(products(left[begin:end], right), whole[begin:end])
    np.testing.assert_array_equal(products(left, right[90:1_001]), whole[:, 90:1_001])
