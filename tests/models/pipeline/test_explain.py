"""Reasons against a slow oracle: the channels that matter, the strongest plausible film of a history."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.candidates import Neighbours
from models.dataset import Queries
from models.pipeline.explain import ENOUGH, Evidence, because, evidence, names, strongest
from tests.models.histories import queries_of

DECAY = 5.0
N_ITEMS, N_CHANNELS, WIDTH = 15, 3, 6


def rated(queries: Queries, rating: list[int]) -> Queries:
    """The same histories with other ratings."""
    return replace(queries, log=replace(queries.log, rating=np.array(rating, dtype=np.float32)))


def found_of(rng: np.random.Generator, n_items: int = N_ITEMS) -> Evidence:
    """Two of three channels have similarities; few films share a genre or a community."""
    near = {
        number: Neighbours(
            np.argsort(rng.random((n_items, n_items)), axis=1)[:, :WIDTH].astype(np.int32),
            -np.sort(-rng.uniform(0.1, 4, (n_items, WIDTH)).astype(np.float32), axis=1),
        )
        for number in (0, 2)
    }
    community = rng.integers(-1, 6, n_items).astype(np.int32)
    return evidence(near, rng.random((n_items, 4)) < 0.15, community)


def given_of(rng: np.random.Generator, rows: int, n: int) -> np.ndarray:
    """Contributions of channels, some of which recalled nothing."""
    return (rng.random((rows, n, N_CHANNELS)) * (rng.random((rows, n, N_CHANNELS)) < 0.7)).astype(np.float32)


@given(st.integers(0, 10_000))
def test_the_strongest_plausible_film_that_the_user_liked_explains(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = found_of(rng)
    history = rng.permutation(N_ITEMS)[: rng.integers(0, 10)].tolist()
    rating = rng.integers(1, 6, len(history)).tolist()
    wanted = np.arange(N_ITEMS, dtype=np.int32)[None]
    contribution = given_of(rng, 1, N_ITEMS)
    named = strongest(contribution)
    cause, liked = because(
        wanted, rated(queries_of([history], N_ITEMS), rating), contribution, named, found, DECAY
    )
    for item in range(N_ITEMS):
        strength: dict[tuple[bool, int], float] = {}
        for age, (watched, stars) in enumerate(zip(history[::-1], rating[::-1], strict=True)):
            value, plausible = 0.0, bool((found.genres[item] & found.genres[watched]).any())
            plausible |= bool(found.community[item] == found.community[watched] >= 0)
            for row, channel in enumerate(found.channel):
                given = float(contribution[0, item, channel])
                for k in np.flatnonzero(found.neighbour[row, item] == watched):
                    value += given * float(found.similarity[row, item, k])
                    plausible |= bool(given > 0 and k == 0 and channel in named[0, item])
            if plausible and value > 0:
                is_liked = bool(stars >= 4 or stars > np.mean(rating))
                strength[is_liked, watched] = value * np.exp(-age / DECAY)
        best = max(strength, key=lambda key: (key[0], strength[key]), default=(False, -1))
        assert (liked[0, item], cause[0, item]) == best


def test_nearness_is_counted_from_the_nearest_film() -> None:
    near = Neighbours(np.array([[1, 2, -1]], np.int32), np.array([[8.0, 2.0, -np.inf]], np.float32))
    nothing = Neighbours(np.full((1, 3), -1, np.int32), np.full((1, 3), -np.inf, np.float32))
    found = evidence({4: near, 7: nothing}, np.zeros((1, 0), np.bool_), np.zeros(1, np.int32))
    assert found.channel.tolist() == [4, 7]
    assert found.similarity.tolist() == [[[1.0, 0.25, 0.0]], [[0.0, 0.0, 0.0]]]
    assert found.neighbour.tolist() == [[[1, 2, -1]], [[-1, -1, -1]]]


def test_without_history_or_similarities_nothing_explains() -> None:
    nobody = evidence({}, np.ones((3, 1), np.bool_), np.zeros(3, np.int32))
    item = np.array([[1, -1], [0, 2]], dtype=np.int32)
    contribution = np.ones((2, 2, 1), dtype=np.float32)
    cause, liked = because(
        item, queries_of([[0], []], 3), contribution, strongest(contribution), nobody, DECAY
    )
    assert cause.tolist() == [[-1, -1], [-1, -1]]
    assert not liked.any()


def test_a_query_is_explained_alike_alone_and_among_others() -> None:
    rng = np.random.default_rng(3)
    n_items, rows = 30, 150
    found = found_of(rng, n_items)
    histories = [rng.permutation(n_items)[: rng.integers(0, 12)].tolist() for _ in range(rows)]
    wanted = np.argsort(rng.random((rows, n_items)), axis=1)[:, :10].astype(np.int32)
    contribution = given_of(rng, rows, 10)
    named = strongest(contribution)
    together, _ = because(wanted, queries_of(histories, n_items), contribution, named, found, DECAY)
    assert (together >= 0).mean() > 0.1
    for row, history in enumerate(histories):
        one = slice(row, row + 1)
        of_one = queries_of([history], n_items), contribution[one], named[one], found, DECAY
        alone, _ = because(wanted[one], *of_one)
        np.testing.assert_array_equal(together[row], alone[0])


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([3, 0, 5, 1], ["c", "a"]),  # 8 of 9
        ([1, 1, 1, 1], ["a", "b", "c", "d"]),
        ([0, 0, 0, 2], ["d"]),
        ([0, 0, 0, 0], []),
        ([1, 1, 1, 1, 2, 1, 1, 1], ["e", "a", "b", "c", "d"]),
    ],
)
def test_channels_are_those_that_make_up_most_of_the_score(given: list[float], named: list[str]) -> None:
    numbers = strongest(np.array([[given]], dtype=np.float32))
    assert names(list("abcdefgh"), numbers[0]).to_list() == [named]


def test_channels_are_cut_where_the_rest_hardly_counts() -> None:
    given = np.random.default_rng(0).exponential(size=(200, 4, 12)).astype(np.float32) ** 3
    for row, parts in zip(strongest(given).reshape(-1, 5), given.reshape(-1, 12), strict=True):
        listed = row[row >= 0].tolist()
        assert listed == np.argsort(-parts)[: len(listed)].tolist()
        assert parts[listed[:-1]].sum() < ENOUGH * parts.sum()
        assert len(listed) == 5 or parts[listed].sum() >= ENOUGH * parts.sum() - 1e-5
