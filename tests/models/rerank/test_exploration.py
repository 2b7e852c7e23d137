"""Positions get films at random, as often as the propensities say."""

import numpy as np
import pytest

from models.candidates import Candidates
from models.dataset import Queries, queries_at
from models.rerank.exploration import draw
from tests.models.rerank.test_stage import N_USERS, small_log

N, LEFT, RATE = 4, 6, 0.3


def pools(n_queries: int) -> tuple[Candidates, Candidates]:
    """The same list for all queries, and films left over, padded in between; of the last query few."""
    listed = np.tile(np.arange(N, dtype=np.int32), (n_queries, 1))
    left = np.tile(np.array([10, -1, 11, 12, -1, 13, 14, 15], dtype=np.int32), (n_queries, 1))
    left[-1, 3:] = -1
    scores = [np.where(item >= 0, -item, -np.inf).astype(np.float32) for item in (listed, left)]
    return Candidates(listed, scores[0]), Candidates(left, scores[1])


def queries(n_queries: int) -> Queries:
    """Queries of the same users at many times."""
    log = small_log()
    user = np.arange(n_queries, dtype=np.int32) % N_USERS
    found = queries_at(log, users=user)
    return Queries(user, found.at + np.arange(n_queries), found.start, found.end, log)


def test_films_stand_at_positions_as_often_as_their_propensities_say() -> None:
    n_queries = 40_000
    listed, left = pools(n_queries)
    found, propensity = draw(listed, left, queries(n_queries), RATE, 0)
    stayed = found.item == listed.item
    np.testing.assert_allclose(propensity[:-1][stayed[:-1]], 1 - RATE)
    np.testing.assert_allclose(propensity[:-1][~stayed[:-1]], RATE / LEFT)
    for position in range(N):
        counts = np.bincount(found.item[:-1, position], minlength=16)
        expected = np.zeros(16)
        expected[position], expected[10:] = 1 - RATE, RATE / LEFT
        error = np.sqrt(expected * (1 - expected) / n_queries)
        assert (abs(counts / n_queries - expected) <= 4 * error).all()
    # Positions are explored independently, and no film stands in a list twice.
    assert np.corrcoef(stayed[:, 0], stayed[:, 1])[0, 1] == pytest.approx(0, abs=4 / np.sqrt(n_queries))
    assert (np.diff(np.sort(found.item, axis=1), axis=1) > 0).all()
    np.testing.assert_array_equal(found.score, -found.item)


def test_a_list_with_fewer_films_left_over_stays() -> None:
    listed, left = pools(N_USERS)
    found, propensity = draw(listed, left, queries(N_USERS), 0.9, 0)
    np.testing.assert_array_equal(found.item[-1], listed.item[-1])
    np.testing.assert_array_equal(propensity[-1], 1)
    few = Candidates(left.item[:, :3], left.score[:, :3])
    assert draw(listed, few, queries(N_USERS), 0.9, 0)[0] is listed


def test_the_same_seed_user_and_time_draw_the_same() -> None:
    listed, left = pools(N_USERS)
    of_all = queries(N_USERS)
    found = draw(listed, left, of_all, RATE, 3)[0].item
    rows = np.arange(20, 30)
    some = draw(listed.take(rows), left.take(rows), of_all.take(rows), RATE, 3)[0].item
    np.testing.assert_array_equal(some, found[rows])
    assert (draw(listed, left, of_all, RATE, 4)[0].item != found).any()
