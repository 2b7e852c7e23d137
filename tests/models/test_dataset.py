"""Queries, rows and masks of a log against loops over its events."""

import hashlib

import numpy as np
import pytest

from models.dataset import (
    Dataset,
    Queries,
    first_ratings,
    queries_after,
    queries_at,
    queries_before,
    rows_before,
    rows_beyond,
)
from models.digest import feed
from models.state import named, pack_text, unpack_text
from models.targets import Targets, offsets
from tests.models.evaluation.logs import random_log
from tests.models.recall.small_logs import small_log


@pytest.fixture(scope="module")
def log() -> Dataset:
    """User 0 has no event."""
    return small_log()


def histories(queries: Queries) -> list[list[int]]:
    """The row numbers of each query's history."""
    return [list(range(start, end)) for start, end in zip(queries.start, queries.end, strict=True)]


def rows_of(log: Dataset, user: int) -> list[int]:
    return [row for row in range(log.n_events) if log.user_idx[row] == user]


def test_a_query_at_the_end_has_the_whole_history(log: Dataset) -> None:
    queries = queries_at(log)
    assert histories(queries) == [rows_of(log, user) for user in range(log.n_users)]
    assert set(queries.at) == {log.as_of}
    some = queries_at(log, at=7, users=np.array([5, 0], dtype=np.int32))
    assert histories(some) == [rows_of(log, 5), []]
    assert some.at.tolist() == [7, 7]


def test_a_query_after_the_newest_event_has_its_time(log: Dataset) -> None:
    queries = queries_after(log, np.arange(log.n_users, dtype=np.int32))
    assert histories(queries) == histories(queries_at(log))
    newest = [log.at[rows_of(log, user)].max() for user in range(1, log.n_users)]
    assert queries.at.tolist() == [log.as_of, *newest]


def test_a_query_before_an_event_ends_there(log: Dataset) -> None:
    rows = np.array([0, 17, log.n_events - 1])
    queries = queries_before(log, rows)
    for row, history, at in zip(rows, histories(queries), queries.at, strict=True):
        assert history == [other for other in rows_of(log, log.user_idx[row]) if other < row]
        assert at == log.at[row]


def test_parts_of_queries(log: Dataset) -> None:
    queries = queries_at(log)
    assert queries.rows(3, 6).user_idx.tolist() == [3, 4, 5]
    assert queries.take(np.array([9, 2])).user_idx.tolist() == [9, 2]
    assert histories(queries.last(3)) == [rows[-3:] for rows in histories(queries)]


def test_the_log_before_a_moment(log: Dataset) -> None:
    moment = int(np.median(log.at))
    before = log.before(moment)
    assert before.as_of == moment
    assert before.n_events == (log.at < moment).sum()
    assert (before.at < moment).all()
    assert (before.n_users, before.n_items) == (log.n_users, log.n_items)


def test_rows_before_are_where_histories_end(log: Dataset) -> None:
    rng = np.random.default_rng(0)
    users = rng.integers(0, log.n_users, 200).astype(np.int32)
    at = np.concatenate([rng.choice(log.at, 198), [log.at.min() - 5, log.at.max() + 5]])
    for user, moment, row in zip(users, at, rows_before(log, users, at), strict=True):
        earlier = [other for other in rows_of(log, user) if log.at[other] < moment]
        assert row - log.indptr[user] == len(earlier)
    empty = log.before(0)
    assert rows_before(empty, users, at).tolist() == [0] * 200


def test_only_the_first_rating_of_an_item_counts_as_new(log: Dataset) -> None:
    twice = Dataset(
        *(np.repeat(column, 2) for column in (log.user_idx, log.item_idx, log.rating, log.at)),
        log.n_users,
        log.n_items,
        log.as_of,
    )
    assert first_ratings(log).all()
    np.testing.assert_array_equal(first_ratings(twice), np.arange(twice.n_events) % 2 == 0)


def test_targets_belong_to_their_queries() -> None:
    targets = Targets(offsets(np.array([2, 1, 3])), np.array([5, 6, 7, 1, 2, 3], dtype=np.int32))
    assert len(targets) == 3
    assert targets.count.tolist() == [2, 1, 3]
    assert targets.query.tolist() == [0, 0, 1, 2, 2, 2]
    left, queries = targets.where(np.array([False, True, False, True, False, True]))
    assert (left.item.tolist(), left.query.tolist(), queries.tolist()) == ([6, 1, 3], [0, 1, 1], [0, 2])


def test_a_query_without_a_target_is_refused() -> None:
    with pytest.raises(ValueError, match="every query needs a target"):
        Targets(np.array([0, 1, 1]), np.array([4], dtype=np.int32))


def digest(*arrays: np.ndarray) -> str:
    sha = hashlib.sha256()
    feed(sha, *arrays)
    return sha.hexdigest()


def test_hashes_see_values_shapes_types_and_bounds() -> None:
    numbers = np.arange(6)
    different = [
        (numbers,),
        (numbers.reshape(2, 3),),
        (numbers.astype(np.int32),),
        (numbers + 1,),
        (numbers[:3], numbers[3:]),
    ]
    assert len({digest(*arrays) for arrays in different}) == len(different)
    assert digest(numbers[::2]) == digest(numbers[::2].copy())


def test_texts_and_prefixes_in_a_state() -> None:
    state = {"a.x": pack_text("Amélie, 2001"), "a.y": np.ones(1), "b.x": np.zeros(1)}
    assert named(state, "a.").keys() == {"x", "y"}
    assert unpack_text(named(state, "a.")["x"]) == "Amélie, 2001"


@pytest.mark.parametrize("seed", range(5))
def test_rows_beyond_and_first_ratings_are_those_of_sets(seed: int) -> None:
    """Films rated again, several at the same time: each event is looked up in a set."""
    log = random_log(seed, "2001-01-01", "2001-01-20", n_users=6, n_items=8, n_events=300)
    other = log.where(np.random.default_rng(seed).random(log.n_events) < 0.5)
    theirs = set(zip(other.user_idx.tolist(), other.item_idx.tolist(), other.at.tolist(), strict=True))
    mine = list(zip(log.user_idx.tolist(), log.item_idx.tolist(), log.at.tolist(), strict=True))
    assert rows_beyond(log, other).tolist() == [row for row, event in enumerate(mine) if event not in theirs]
    pairs = [(user, item) for user, item, _ in mine]
    assert first_ratings(log).tolist() == [pair not in pairs[:row] for row, pair in enumerate(pairs)]
