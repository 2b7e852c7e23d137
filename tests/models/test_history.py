"""Decayed histories against a loop, on random queries with repeated items."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.dataset import Dataset, Queries
from models.history import FOREVER, decayed_history, interactions, reach

N_ITEMS = 6


@st.composite
def some_queries(draw: st.DrawFn) -> Queries:
    items = draw(st.lists(st.integers(0, N_ITEMS - 1), max_size=15))
    ratings = draw(st.lists(st.integers(1, 5), min_size=len(items), max_size=len(items)))
    bound = st.integers(0, len(items))
    bounds = draw(st.lists(st.tuples(bound, bound).map(sorted), min_size=1, max_size=4))
    log = Dataset(
        np.zeros(len(items), dtype=np.int32),
        np.array(items, dtype=np.int32),
        np.array(ratings, dtype=np.float32),
        np.arange(len(items), dtype=np.int64),
        1,
        N_ITEMS,
        len(items),
    )
    start, end = np.array(bounds, dtype=np.int64).T
    return Queries(np.zeros(len(bounds), dtype=np.int32), end, start, end, log)


def slow_history(queries: Queries, decay: float, newest: int, rated: bool) -> np.ndarray:
    expected = np.zeros((len(queries), N_ITEMS))
    for query in range(len(queries)):
        met: list[int] = []
        for event in reversed(range(queries.start[query], queries.end[query])):
            item = queries.log.item_idx[event]
            if item not in met and len(met) < newest:
                weight = queries.log.rating[event] if rated else 1
                expected[query, item] = weight * np.exp(-len(met) / decay)
                met.append(item)
    return expected


@given(some_queries(), st.sampled_from([1.0, 4.0, FOREVER]), st.integers(0, 8), st.booleans())
def test_decayed_history_is_that_of_a_loop(queries: Queries, decay: float, newest: int, rated: bool) -> None:
    history = decayed_history(queries, decay, newest, rated)
    np.testing.assert_allclose(history.toarray(), slow_history(queries, decay, newest, rated), rtol=1e-6)
    assert history.dtype == np.float32
    assert history.has_sorted_indices


def test_interactions_count_a_repeated_item_once() -> None:
    user, item = np.array([0, 0, 0, 2], dtype=np.int32), np.array([1, 0, 1, 1], dtype=np.int32)
    log = Dataset(user, item, np.ones(4, dtype=np.float32), np.arange(4), 3, 2, 4)
    np.testing.assert_array_equal(interactions(log).toarray(), [[1, 1], [0, 0], [0, 1]])


def test_a_history_reaches_as_far_as_its_events_weigh_anything() -> None:
    assert reach(FOREVER) is None
    assert (reach(5.0), reach(0.25), reach(5.0, 3.0), reach(0.3, 3.0)) == (50, 3, 15, 1)
