"""Items that were shown and not watched: passed over or put lower in the merge, and by ranking."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import bloom, merge
from models.candidates import Candidates
from models.exposures import Shown, behind
from models.merge import Merged
from tests.models.histories import queries_of

N_ITEMS, N = 12, 8
RATE = 1e-6
"""Filters that are hardly ever wrong, so that sets can stand for them."""

WEIGHTS = np.array([[1.0, 0.5, 0.25]], dtype=np.float32)

item_sets = st.sets(st.integers(0, N_ITEMS - 1))


def shown_to(users: list[set[int]], discount: float) -> Shown:
    pairs = [(user, item) for user, items in enumerate(users) for item in sorted(items)]
    user, item = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    return Shown(bloom.build(user, item, RATE), discount)


def recalled(lists: list[list[int]]) -> Candidates:
    item = np.full((len(lists), N_ITEMS), -1, dtype=np.int32)
    score = np.full((len(lists), N_ITEMS), -np.inf, dtype=np.float32)
    for row, found in enumerate(lists):
        item[row, : len(found)] = found
        score[row, : len(found)] = np.arange(len(found), 0, -1)
    return Candidates(item, score)


def merged(
    lists: list[list[int]], seen: list[list[int]], shown: Shown | None, n: int, n_least: int
) -> Merged:
    order = np.arange(N_ITEMS)[::-1]
    channels = {"a": recalled(lists)}
    return merge.merge(channels, WEIGHTS, queries_of(seen, N_ITEMS), order, n, shown, n_least)


def listed(found: Merged) -> list[list[int]]:
    return [[int(item) for item in row if item >= 0] for row in found.candidates.item]


user = st.tuples(st.permutations(range(N_ITEMS)), st.integers(0, N_ITEMS), item_sets, item_sets)


@given(st.lists(user, min_size=1, max_size=4), st.integers(1, N_ITEMS), st.integers(0, N_ITEMS))
def test_what_was_shown_is_filtered_and_comes_last(
    users: list[tuple[list[int], int, set[int], set[int]]], n: int, n_least: int
) -> None:
    lists = [found[:length] for found, length, _, _ in users]
    seen, exposed = [sorted(items) for _, _, items, _ in users], [items for *_, items in users]
    found = listed(merged(lists, seen, shown_to(exposed, math.inf), n, n_least))
    plain = listed(merged(lists, seen, None, N_ITEMS, 0))
    for row, everything in enumerate(plain):
        fresh = [item for item in everything if item not in exposed[row]]
        assert found[row][: len(fresh)] == fresh[:n]
        rest = found[row][len(fresh) :]
        by_order = sorted(set(everything) & exposed[row], reverse=True)
        assert rest == by_order[: max(0, min(n, n_least) - len(fresh))]


def test_what_was_shown_loses_the_penalty_and_may_be_listed() -> None:
    lists, seen, exposed = [[3, 5, 7, 1]], [[1]], [{3, 9}]
    before, after = (merged(lists, seen, shown_to(exposed, p) if p else None, 11, 0) for p in (0.0, 0.6))
    scores = [
        dict(zip(found.candidates.item[0].tolist(), found.candidates.score[0].tolist(), strict=True))
        for found in (before, after)
    ]
    lost = {item: scores[0][item] - scores[1][item] for item in (3, 5, 7)}
    assert lost == pytest.approx({3: 0.6, 5: 0.0, 7: 0.0})
    assert set(listed(after)[0]) == set(range(N_ITEMS)) - {1}


@pytest.mark.parametrize("discount", [0.3, 50.0, math.inf])
def test_merged_scores_never_rise(discount: float) -> None:
    found = merged([[3, 5, 7]], [[1]], shown_to([{3, 5, 7, 9}], discount), 11, 11)
    assert (np.diff(found.candidates.score[0]) <= 0).all()
    assert len(set(listed(found)[0])) == 11


def test_whom_nothing_was_shown_gets_the_same_list() -> None:
    lists, seen = [[3, 5], [6, 2]], [[1], [4]]
    before, after = (merged(lists, seen, shown, 6, 6) for shown in (None, shown_to([{3}, set()], math.inf)))
    assert listed(before)[1] == listed(after)[1]
    assert listed(after)[0] == [5, 11, 10, 9, 8, 7]


def test_candidates_that_were_shown() -> None:
    shown = shown_to([{3}, {0, 2}], math.inf)
    lists = recalled([[3, 0], [0, 3, 2], [3]])
    among = shown.among(lists, queries_of([[], [], []], N_ITEMS))
    assert [np.flatnonzero(row).tolist() for row in among] == [[0], [0, 2], []]


@given(st.lists(st.tuples(st.floats(-100, 100, width=32), st.booleans()), min_size=1, max_size=9))
def test_lowered_scores_are_behind_all_others_in_their_order(rows: list[tuple[float, bool]]) -> None:
    score, lowered = (
        np.array([[value for value, _ in rows]], np.float32),
        np.array([[low for _, low in rows]]),
    )
    found = behind(np.append(score, [[-np.inf]], axis=1), np.append(lowered, [[False]], axis=1))
    assert found[0, -1] == -np.inf
    now = found[0, :-1]
    assert now[~lowered[0]].tolist() == score[~lowered].tolist()
    if lowered.any() and not lowered.all():
        assert now[lowered[0]].max() < now[~lowered[0]].min()
    by_score = np.argsort(score[lowered], kind="stable")
    assert (np.diff(now[lowered[0]][by_score]) >= 0).all()
