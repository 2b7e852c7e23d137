"""Which items a closed form reads, and which of its weights stay, against sorting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.closed_form import among_all, factorise, largest_weights, most_rated, renumbered
from tests.models.recall.small_logs import small_log

GIB = 2**30


@given(seed=st.integers(0, 50), n=st.integers(1, 60), by_work=st.booleans())
def test_the_most_rated_items_that_either_budget_allows(seed: int, n: int, by_work: bool) -> None:
    log = small_log(seed)
    count = np.bincount(log.item_idx, minlength=log.n_items)
    if by_work:
        items, covered = most_rated(log, 1.0, 4, (n**3 + 0.5) / log.n_events)
    else:
        items, covered = most_rated(log, 8 * n**2 / GIB, 8, 1e9)
    best = sorted(np.flatnonzero(count), key=lambda item: (-count[item], item))[:n]
    assert items.tolist() == sorted(best)
    assert covered == pytest.approx(count[best].sum() / log.n_events)


def test_an_item_at_least_and_none_of_an_empty_log() -> None:
    log = small_log()
    assert len(most_rated(log, 1e-12, 4, 1e9)[0]) == len(most_rated(log, 1.0, 4, 1e-9)[0]) == 1
    items, covered = most_rated(log.before(0), 1.0, 4, 1e9)
    assert (len(items), covered) == (0, 0)


def test_events_of_other_items_have_no_number() -> None:
    log = small_log()
    items = np.array([3, 7, 20], dtype=np.int32)
    expected = [items.tolist().index(item) if item in items else -1 for item in log.item_idx]
    assert renumbered(log, items).tolist() == expected


@given(
    seed=st.integers(0, 99),
    shape=st.tuples(st.integers(1, 70), st.integers(1, 40)),
    n=st.integers(1, 45),
    block=st.integers(1, 9),
)
def test_the_largest_weights_stay(seed: int, shape: tuple[int, int], n: int, block: int) -> None:
    n_sources, n_targets = shape
    dense = np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)  # ties, and zeros
    blocks = (np.ascontiguousarray(dense.T[i : i + block]) for i in range(0, n_targets, block))
    column, weight = largest_weights(blocks, n_sources, n_targets, n)
    for row in range(n_sources):
        best = sorted(range(n_targets), key=lambda target: (-abs(dense[row, target]), target))[:n]
        assert column[row].tolist() == sorted(best)
        assert weight[row].tolist() == dense[row, sorted(best)].tolist()


def test_weights_between_some_items_are_rows_of_all() -> None:
    items = np.array([1, 4], dtype=np.int32)
    column = np.array([[0], [0], [1], [1]], dtype=np.int32)  # two blocks of two items
    weight = np.array([[1.0], [2.0], [3.0], [4.0]], dtype=np.float32)
    rows = among_all(column, weight, items, 5, n_blocks=2)
    expected = np.zeros((10, 5))
    expected[[1, 4], 1] = 1, 2
    expected[[6, 9], 4] = 3, 4
    np.testing.assert_array_equal(rows.toarray(), expected)


def test_a_matrix_that_is_not_positive_definite_is_refused() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="l2"):
        factorise(np.full((2, 2), -5.0, dtype=np.float32), 1.0)
