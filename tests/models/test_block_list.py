"""Films that users asked not to see and genres they disliked often, against loops over films."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import merge
from models.block_list import BlockList, BlockListConfig, block_list
from models.candidates import Candidates
from models.dataset import Dataset, Queries, queries_at

N_ITEMS, N_GENRES = 10, 3
WEIGHTS = np.array([[1.0, 0.5, 0.25]], dtype=np.float32)

History = list[tuple[int, int]]
"""Films and stars, oldest first."""

genre_rows = st.lists(st.lists(st.booleans(), min_size=N_GENRES, max_size=N_GENRES), min_size=10, max_size=10)
histories = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), max_size=8),
        st.sets(st.integers(0, 9)),
        st.permutations(range(N_ITEMS)),
        st.integers(1, N_ITEMS),
    ),
    min_size=1,
    max_size=4,
)


def queries_of(of_users: list[History], genres: list[list[bool]]) -> Queries:
    rated = [(user, item, stars) for user, history in enumerate(of_users) for item, stars in history]
    user, item, stars = np.array(rated, dtype=np.int32).reshape(-1, 3).T.copy()
    at = np.arange(len(user), dtype=np.int64)
    items = {"genres": np.array(genres)}
    log = Dataset(user, item, stars.astype(np.float32), at, len(of_users), N_ITEMS, len(at), items=items)
    return queries_at(log)


def blocked_by(queries: Queries, requested: list[set[int]], config: BlockListConfig) -> BlockList | None:
    pairs = [(user, item) for user, items in enumerate(requested) for item in sorted(items)]
    user, item = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    return block_list(config, queries.log, user, item)


def oracle(
    history: History, requested: set[int], genres: list[list[bool]], config: BlockListConfig
) -> set[int]:
    """The blocked films of a user."""
    blocked = set(requested)
    for genre in range(N_GENRES):
        stars = [rating for item, rating in history if genres[item][genre]]
        disliked = sum(rating <= config.dislike for rating in stars)
        if config.genre_dislikes and disliked >= max(
            config.genre_dislikes, config.genre_fraction * len(stars)
        ):
            blocked |= {item for item in range(N_ITEMS) if genres[item][genre]}
    return blocked


@given(histories, genre_rows, st.sampled_from([None, 1, 2]), st.integers(1, N_ITEMS), st.integers(0, N_ITEMS))
def test_what_is_blocked_comes_last_and_only_to_fill_up(
    users: list[tuple[History, set[int], list[int], int]],
    genres: list[list[bool]],
    dislikes: int | None,
    n: int,
    n_least: int,
) -> None:
    config = BlockListConfig(genre_dislikes=dislikes, genre_fraction=0.5 if dislikes else 0.7)
    queries = queries_of([history for history, *_ in users], genres)
    blocked = blocked_by(queries, [requested for _, requested, *_ in users], config)
    found = np.full((len(users), N_ITEMS), -1, dtype=np.int32)
    for row, (_, _, films, length) in enumerate(users):
        found[row, :length] = films[:length]
    score = np.where(found >= 0, -np.arange(N_ITEMS, dtype=np.float32), -np.inf).astype(np.float32)
    order = np.arange(N_ITEMS)[::-1]
    merged = merge.merge(
        {"a": Candidates(found, score)}, WEIGHTS, queries, order, n, None, n_least, blocked
    ).candidates
    every = Candidates(np.tile(np.arange(N_ITEMS, dtype=np.int32), (len(users), 1)), score)
    for row, (history, requested, films, length) in enumerate(users):
        without = oracle(history, requested, genres, config)
        if blocked is not None:
            assert set(np.flatnonzero(blocked.among(every, queries)[row])) == without
            assert set(np.flatnonzero(blocked.requested(every, queries)[row])) == requested
        seen = {item for item, _ in history}
        rest = [item for item in order.tolist() if item not in films[:length]]
        unseen = [item for item in [*films[:length], *rest] if item not in seen]
        free = [item for item in unseen if item not in without]
        last = [item for item in order.tolist() if item in without and item not in seen]
        expected = free[:n] + last[: max(0, min(n, n_least) - len(free))]
        assert [item for item in merged.item[row].tolist() if item >= 0] == expected
    assert (merged.score[:, 1:] <= merged.score[:, :-1]).all()


def test_nothing_requested_and_no_genre_to_tell_is_no_block_list() -> None:
    queries = queries_of([[(1, 1)]], [[True] * N_GENRES] * N_ITEMS)
    assert blocked_by(queries, [set()], BlockListConfig()) is None


def test_genres_that_nobody_names_block_nothing() -> None:
    queries = queries_of([[(1, 1)]], [[]] * N_ITEMS)
    blocked = blocked_by(queries, [{3}], BlockListConfig(genre_dislikes=1))
    assert blocked is not None
    candidates = Candidates(np.array([[3, 1, -1]], np.int32), np.zeros((1, 3), np.float32))
    assert blocked.among(candidates, queries).tolist() == [[True, False, False]]


@pytest.mark.parametrize("user", [-1, 7])
def test_who_requested_nothing_is_free(user: int) -> None:
    queries = queries_of([[(1, 5)]], [[False] * N_GENRES] * N_ITEMS)
    blocked = blocked_by(queries, [{3}], BlockListConfig())
    assert blocked is not None
    stranger = Queries(np.array([user], np.int32), queries.at, queries.start, queries.end, queries.log)
    every = Candidates(np.arange(N_ITEMS, dtype=np.int32)[None], np.zeros((1, N_ITEMS), np.float32))
    assert not blocked.among(every, stranger).any()
