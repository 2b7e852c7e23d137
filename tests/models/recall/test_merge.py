"""Fusion against a slow oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.dataset import Dataset, Queries, queries_at
from models.recall import merge as fusion
from models.recall.contract import Candidates


def queries(histories: list[list[int]], n_items: int) -> Queries:
    user = np.repeat(np.arange(len(histories)), [len(history) for history in histories]).astype(np.int32)
    item = np.array([item for history in histories for item in history], dtype=np.int32)
    at = np.arange(len(user), dtype=np.int64)
    log = Dataset(user, item, np.ones(len(user), np.float32), at, len(histories), n_items, len(user))
    return queries_at(log)


def candidates(lists: list[list[int]], width: int) -> Candidates:
    item = np.full((len(lists), width), -1, dtype=np.int32)
    for row, found in enumerate(lists):
        item[row, : len(found)] = found
    return Candidates(item, np.where(item >= 0, -np.arange(width), -np.inf).astype(np.float32))


@given(data=st.data(), n_items=st.integers(3, 12), n=st.integers(1, 12), rows=st.integers(1, 4))
def test_merge_is_reciprocal_rank_fusion_filled_up(
    data: st.DataObject, n_items: int, n: int, rows: int
) -> None:
    n = min(n, n_items)
    items = st.permutations(range(n_items))
    histories = [list(data.draw(items))[: data.draw(st.integers(0, n_items))] for _ in range(rows)]
    lists = {
        name: [list(data.draw(items))[: data.draw(st.integers(0, n_items))] for _ in range(rows)]
        for name in "ab"
    }
    order = list(data.draw(items))
    weights = {"a": 1.0, "b": 0.5}
    channels = {"a": candidates(lists["a"], n_items), "b": candidates(lists["b"], n_items + 2)}
    merged = fusion.merge(channels, weights, queries(histories, n_items), np.array(order), n)
    for row in range(rows):
        score: dict[int, float] = {}
        for name, weight in weights.items():
            for place, item in enumerate(lists[name][row]):
                score[item] = score.get(item, 0) + weight / (61 + place)
        unseen = [item for item in score if item not in histories[row]]
        # float32, as the code adds: near ties must fall the same way
        ranked = sorted(unseen, key=lambda item: (-np.float32(score[item]), item))[:n]
        filled = [i for i in order if i not in score and i not in histories[row]][: n - len(ranked)]
        found = merged.candidates.item[row][merged.candidates.item[row] >= 0].tolist()
        assert sorted(found[: len(ranked)]) == sorted(ranked) or np.allclose(
            sorted(score[i] for i in found[: len(ranked)]), sorted(score[i] for i in ranked)
        )
        assert found[len(ranked) :] == filled
        assert merged.candidates.score[row, : len(ranked)] == pytest.approx(
            [score[i] for i in ranked], rel=1e-5
        )
        for place, item in enumerate(found):
            who = [name for name in "ab" if item in lists[name][row]]
            assert fusion.names(["a", "b"], merged.channels[row, place : place + 1])[0] == who


def test_a_list_is_full_unless_all_items_are_seen() -> None:
    asked = queries([[0, 1], [0, 1, 2, 3]], 4)
    merged = fusion.merge({"a": candidates([[2], []], 1)}, {"a": 1.0}, asked, np.array([3, 2, 1, 0]), 3)
    assert merged.candidates.item.tolist() == [[2, 3, -1], [-1, -1, -1]]


def test_the_fallback_order_is_by_popularity_then_index() -> None:
    log = queries([[2], [2, 3]], 5).log
    assert fusion.fallback_order(log).tolist() == [2, 3, 0, 1, 4]
