"""Communities and centrality of a graph whose structure is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.candidates import Neighbours
from models.graph import GraphConfig, edges, find_communities, layout
from models.neighbours import nearest

SIZES = (9, 6, 4)
"""Items of each clique, numbered through."""


def cliques(between: float = 0.01, seed: int = 0) -> Neighbours:
    """Items much alike within a clique and hardly alike beyond; one more is like no other."""
    clique = np.append(np.repeat(np.arange(len(SIZES)), SIZES), -1)
    rng = np.random.default_rng(seed)
    similarity = np.where(clique[:, None] == clique, 1.0, between) * rng.uniform(0.9, 1, (len(clique),) * 2)
    similarity = np.triu(similarity, 1) + np.triu(similarity, 1).T
    similarity[-1] = similarity[:, -1] = 0
    return nearest(similarity, len(clique))


@pytest.mark.parametrize("seed", range(3))
def test_cliques_are_communities_the_largest_first_and_who_is_alone_is_in_none(seed: int) -> None:
    found = find_communities([cliques(seed=seed)], sum(SIZES) + 1, GraphConfig(), seed)
    assert found.community.tolist() == [1] * 9 + [2] * 6 + [3] * 4 + [-1]
    assert found.centrality[-1] == 0
    assert found.centrality[:-1].min() > 0
    assert found.centrality.sum() == pytest.approx(1)


def test_what_everybody_is_near_to_is_most_central() -> None:
    star = np.zeros((8, 8))
    star[0, 1:] = star[1:, 0] = 1
    found = find_communities([nearest(star, 7)], 8)
    # A walk goes on from the hub with 0.85 to a leaf, from a leaf to the hub: h = 0.15 / 8 + 0.85 (1 - h).
    assert found.centrality[0] == pytest.approx((0.15 / 8 + 0.85) / 1.85, abs=1e-5)
    np.testing.assert_allclose(found.centrality[1:], (1 - found.centrality[0]) / 7, atol=1e-6)


def test_a_higher_resolution_divides_what_hangs_together() -> None:
    lists = [cliques(between=0.3)]
    number = [
        find_communities(lists, sum(SIZES) + 1, GraphConfig(resolution=resolution)).community.max()
        for resolution in (0.1, 1.0, 5.0)
    ]
    assert number[0] == 1
    assert number[0] < number[1] < number[2]


def test_nothing_is_near_to_nothing() -> None:
    found = find_communities([], 3)
    assert found.community.tolist() == [-1, -1, -1]
    assert found.centrality.tolist() == [0, 0, 0]


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 3))
def test_edges_are_the_strongest_of_either_end(seed: int, n: int, n_lists: int) -> None:
    n_items = 9
    rng = np.random.default_rng(seed)
    lists = [nearest(_similarities(rng, n_items), 6) for _ in range(n_lists)]
    assert _by_hand(lists, n) == {
        (low, high): pytest.approx(weight)
        for low, high, weight in zip(*(part.tolist() for part in edges(lists, n_items, n)), strict=True)
    }


def _similarities(rng: np.random.Generator, n: int) -> np.ndarray:
    similarity = np.where(rng.random((n, n)) < 0.5, rng.random((n, n)), 0)
    np.fill_diagonal(similarity, 0)
    return similarity


def _by_hand(lists: list[Neighbours], n: int) -> dict[tuple[int, int], float]:
    found: dict[tuple[int, int], float] = {}
    for item in range(len(lists[0].item)):
        weights: dict[int, float] = {}
        for of in lists:
            for near, score in zip(of.item[item, :n].tolist(), of.score[item, :n].tolist(), strict=True):
                if near >= 0:
                    weights[near] = weights.get(near, 0) + score / float(of.score[item, 0])
        for near, weight in sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))[:n]:
            ends = min(item, near), max(item, near)
            found[ends] = found.get(ends, 0) + weight
    return found


def test_films_that_are_alike_are_drawn_near_each_other() -> None:
    low, high, _ = edges([cliques()], sum(SIZES), 4)
    within = np.searchsorted(np.cumsum(SIZES), low, "right") == np.searchsorted(
        np.cumsum(SIZES), high, "right"
    )
    positions = layout(low[within], high[within], sum(SIZES))
    clique = np.repeat(np.arange(len(SIZES)), SIZES)
    distance = np.linalg.norm(positions[:, None] - positions, axis=2)
    same = clique[:, None] == clique
    assert distance[same].mean() < distance[~same].mean() / 2
    assert (positions == layout(low[within], high[within], sum(SIZES))).all()
    assert layout(low[:0], high[:0], 0).shape == (0, 2)
