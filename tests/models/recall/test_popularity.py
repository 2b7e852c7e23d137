"""Popularity of all, of segments, of the new and of kinds: closed forms on logs made by hand."""

import numpy as np
import pytest

from models.dataset import DAY, Dataset, Queries, queries_at
from models.history import decayed_history, interactions
from models.kinds import kinds_of_items
from models.recall.attribute import Attribute, AttributeConfig
from models.recall.demographics import back_off, user_codes
from models.recall.new_items import NewItems, NewItemsConfig
from models.recall.popular import Popular, PopularConfig, decayed_popularity
from models.recall.segment import Segment, SegmentConfig
from models.top_n import top_n
from tests.models.recall.small_logs import small_log

FOREVER = float("inf")


def hand_made(rows: list[tuple[int, int, int]], n_users: int, n_items: int, **users: list[int]) -> Dataset:
    """A log of (user, item, days before as_of), sorted by user."""
    user, item, age = np.array(rows, dtype=np.int64).T
    as_of = 1_000 * DAY
    codes = {name: np.array(values, dtype=np.int32) for name, values in users.items()}
    return Dataset(
        user.astype(np.int32),
        item.astype(np.int32),
        np.ones(len(rows), dtype=np.float32),
        as_of - age * DAY,
        n_users,
        n_items,
        as_of,
        codes,
    )


def queried_by(log: Dataset, users: list[int]) -> Queries:
    """Queries of users who have no history."""
    nothing = np.zeros(len(users), dtype=np.int64)
    return Queries(np.array(users, dtype=np.int32), nothing + log.as_of, nothing, nothing, log)


def test_popularity_halves_with_age() -> None:
    log = hand_made([(0, 0, 0), (0, 1, 10), (1, 1, 20), (1, 2, 40)], 2, 4)
    np.testing.assert_allclose(decayed_popularity(log, 10.0), [1, 0.5 + 0.25, 1 / 16, -np.inf])


def test_popular_counts_all_ratings_when_nothing_fades() -> None:
    log = small_log(1)
    top = Popular(PopularConfig(half_life=FOREVER)).fit(log).recommend(queried_by(log, [-1]), 10)
    counts = np.bincount(log.item_idx, minlength=log.n_items)
    np.testing.assert_array_equal(top.item[0], np.argsort(-counts, kind="stable")[:10])
    np.testing.assert_array_equal(top.score[0], -np.sort(-counts)[:10])


def test_new_items_weigh_popularity_by_the_first_rating() -> None:
    log = hand_made([(0, 0, 40), (1, 0, 0), (1, 1, 20), (2, 1, 10)], 3, 3)
    top = NewItems(NewItemsConfig(half_life=10.0, novelty=20.0)).fit(log).recommend(queried_by(log, [-1]), 3)
    old, new = (1 / 16 + 1) * 2**-2, (1 / 4 + 1 / 2) * 2**-1
    np.testing.assert_array_equal(top.item[0], [1, 0, -1])
    np.testing.assert_allclose(top.score[0], [new, old, -np.inf])


def test_back_off_lies_between_the_group_and_the_wider_one() -> None:
    counts = np.array([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    wider = np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(back_off(counts, wider, 0.0 + 1e-12)[0], [0.75, 0.25, 0], atol=1e-9)
    np.testing.assert_allclose(back_off(counts, wider, 4.0)[0], (counts[0] + 4 * wider) / 8)
    np.testing.assert_allclose(back_off(counts, wider, 4.0)[1], wider)
    np.testing.assert_allclose(back_off(counts, wider, 4.0).sum(1), 1)


def test_user_codes_are_unknown_where_the_data_set_is_silent() -> None:
    log = hand_made([(0, 0, 1)], 2, 1, gender=[1, 0])
    users = np.array([1, -1, 0], dtype=np.int32)
    np.testing.assert_array_equal(user_codes(log, "gender", users), [0, -1, 1])
    np.testing.assert_array_equal(user_codes(log, "age", users), [-1, -1, -1])
    np.testing.assert_array_equal(user_codes(log, "gender"), [1, 0])


def test_segments_back_off_to_the_attributes_there_are() -> None:
    # Women rate item 0, young men item 1, old men item 2; item 3 is the favourite of nobody known.
    rows = [(0, 0, 1), (1, 1, 1), (2, 2, 1), (3, 2, 1), (4, 3, 1), (5, 3, 1), (6, 3, 1), (7, 3, 1)]
    gender, age = [0, 1, 1, 1, -1, -1, -1, -1], [1, 0, 1, 1, 0, 1, -1, -1]
    log = hand_made(rows, 8, 4, gender=gender, age=age)
    segment = Segment(SegmentConfig(half_life=FOREVER, smoothing=0.1)).fit(log)
    top = segment.recommend(queried_by(log, [0, 1, 2, 4, -1]), 1)
    np.testing.assert_array_equal(top.item[:, 0], [0, 1, 2, 3, 3])

    lists = segment.lists(1)
    found = dict(
        zip(zip(lists.gender.tolist(), lists.age.tolist(), strict=True), lists.top.item[:, 0], strict=True)
    )
    # No young woman has rated anything: that segment reads as all women.
    assert found == {
        (-1, -1): 3, (0, -1): 0, (1, -1): 2, (0, 0): 0, (0, 1): 0, (1, 0): 1, (1, 1): 2,
    }  # fmt: skip


def test_segments_may_count_the_first_days_of_users_alone() -> None:
    # User 1 rates item 1 nine days after the first rating, which is the tenth day.
    rows = [(0, 0, 30), (0, 1, 20), (0, 1, 11), (1, 0, 12), (1, 1, 3), (2, 2, 1)]
    log = hand_made(rows, 3, 3)
    for days, counts in ((9.0, [2, 0, 1]), (9.1, [2, 1, 1]), (FOREVER, [2, 3, 1])):
        score = Segment(SegmentConfig(half_life=FOREVER, first_days=days)).fit(log).state["score"][0]
        np.testing.assert_allclose(np.maximum(score, 0), np.array(counts) / sum(counts), rtol=1e-6)


def test_segment_lists_are_what_users_without_history_get() -> None:
    log = small_log(2)
    segment = Segment().fit(log)
    lists = segment.lists(7)
    users = np.arange(log.n_users)
    top = segment.recommend(queried_by(log, users.tolist()), 7)
    for user, gender, age in zip(users, log.users["gender"], log.users["age"], strict=True):
        wanted = (gender, age) if gender >= 0 else (-1, -1)
        (row,) = np.flatnonzero((lists.gender == wanted[0]) & (lists.age == wanted[1]))
        np.testing.assert_array_equal(top.item[user], lists.top.item[row])


def test_a_film_has_every_kind_of_its_genres_and_decade() -> None:
    genres = np.array([[True, True], [True, False], [False, False], [True, False]])
    log = hand_made([(0, 0, 1)], 1, 4)
    log = Dataset(
        log.user_idx, log.item_idx, log.rating, log.at, 1, 4, log.as_of, {},
        {"genres": genres, "year": np.array([1994, 1999, 1994, -1], dtype=np.int32)},
    )  # fmt: skip
    kinds = kinds_of_items(log).toarray()
    np.testing.assert_allclose(kinds.sum(1), 1)
    assert kinds.shape == (4, 4)  # first genre of the nineties and of no year, second genre, no genre
    np.testing.assert_array_equal((kinds > 0).sum(1), [2, 1, 1, 1])
    shared = (kinds > 0).astype(int) @ (kinds > 0).T.astype(int)
    np.testing.assert_array_equal(shared, [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def test_attribute_is_the_mixture_of_kinds() -> None:
    log = small_log(3)
    config = AttributeConfig(half_life=50.0, decay=4.0, smoothing=2.0, favourites=10_000, best=10_000)
    found = Attribute(config).fit(log).recommend(queries_at(log), log.n_items, filter_seen=False)

    kinds = kinds_of_items(log).toarray().astype(np.float64)
    popularity = np.maximum(decayed_popularity(log, 50.0), 0).astype(np.float64)
    prior = kinds.T @ popularity / popularity.sum()
    of_kind = (kinds > 0).T * popularity  # (C, I)
    of_kind /= np.maximum(of_kind.sum(1, keepdims=True), 1e-30)
    liked = decayed_history(queries_at(log), 4.0, rated=True).toarray() @ kinds
    taste = (liked + 2 * prior) / (liked.sum(1, keepdims=True) + 2)
    expected = taste @ of_kind
    np.testing.assert_allclose(
        np.where(found.item < 0, 0, found.score), -np.sort(-expected, axis=1), rtol=1e-4, atol=1e-7
    )


def test_attribute_names_only_the_best_of_the_favourites() -> None:
    log = small_log(4)
    attribute = Attribute(AttributeConfig(favourites=1, best=2)).fit(log)
    found = attribute.recommend(queries_at(log), log.n_items, filter_seen=False)
    assert (found.item >= 0).sum(1).max() == 2


@pytest.mark.parametrize("filter_seen", [True, False])
def test_lists_are_the_best_of_each_querys_row_of_scores(filter_seen: bool) -> None:
    log = small_log(5, n_users=150)
    queries = queries_at(log)
    everyone = np.zeros(len(queries), dtype=np.int64)
    for channel in (Popular().fit(log), NewItems().fit(log)):
        scores = np.atleast_2d(channel.state["score"])[everyone]
        found, expected = channel.recommend(queries, 20, filter_seen), top_n(scores, queries, 20, filter_seen)
        np.testing.assert_array_equal(found.item, expected.item)
        np.testing.assert_array_equal(found.score, expected.score)


def test_similar_kinds_take_part_of_the_taste() -> None:
    log = small_log(6)
    config = AttributeConfig(
        decay=4.0, favourites=10_000, best=10_000, similar_weight=0.3, n_neighbours=10_000
    )
    found = Attribute(config).fit(log).recommend(queries_at(log), log.n_items, filter_seen=False)

    kinds = kinds_of_items(log).toarray().astype(np.float64)
    rated = interactions(log).toarray() @ kinds  # (U, C)
    length = np.maximum(np.linalg.norm(rated, axis=0), 1e-30)
    similarity = rated.T @ rated / np.outer(length, length)
    np.fill_diagonal(similarity, 0)
    similarity /= np.maximum(similarity.sum(axis=1, keepdims=True), 1e-30)
    popularity = np.maximum(decayed_popularity(log, 365.0), 0).astype(np.float64)
    prior = kinds.T @ popularity / popularity.sum()
    of_kind = (kinds > 0).T * popularity
    of_kind /= np.maximum(of_kind.sum(1, keepdims=True), 1e-30)
    liked = decayed_history(queries_at(log), 4.0, rated=True).toarray() @ kinds
    taste = (liked + 10 * prior) / (liked.sum(1, keepdims=True) + 10)
    expected = (0.7 * taste + 0.3 * taste @ similarity) @ of_kind
    np.testing.assert_allclose(
        np.where(found.item < 0, 0, found.score), -np.sort(-expected, axis=1), rtol=1e-3, atol=1e-6
    )
