"""Rows of single ratings: their fields, and the histories before them."""

from dataclasses import replace

import numpy as np
import pytest

from models.dataset import Dataset
from models.rank.rating_rows import HISTORY, graded_rows, rating_rows, star_rows
from tests.models.recall.small_logs import small_log


@pytest.fixture(scope="module")
def log() -> Dataset:
    return small_log(n_users=30)


def test_seven_fields_and_nothing_else(log: Dataset) -> None:
    rows = np.flatnonzero(log.rating != 3)
    given = rating_rows(log, rows)
    names = [feature.name for feature in given.schema.features]
    assert names == [
        "user_id",
        "user_gender",
        "user_age",
        "user_occupation",
        "item_id",
        "item_year",
        "item_genres",
    ]
    batch = given.batch(np.arange(len(rows)))
    assert set(batch) == set(names)
    np.testing.assert_array_equal(batch["user_id"], log.user_idx[rows] + 1)
    np.testing.assert_array_equal(batch["user_gender"], log.users["gender"][log.user_idx[rows]] + 1)
    np.testing.assert_array_equal(batch["item_id"], log.item_idx[rows] + 1)
    np.testing.assert_array_equal(batch["item_genres"], log.items["genres"][log.item_idx[rows]])
    years = [-1, *sorted(set(log.items["year"].tolist()) - {-1})]
    assert [years[code] for code in batch["item_year"]] == log.items["year"][log.item_idx[rows]].tolist()
    for feature in given.schema.features:
        if feature.kind == "categorical":
            assert 0 <= batch[feature.name].min() <= batch[feature.name].max() < feature.size
    rating = log.rating[rows]
    assert given.tasks == ("liked", "loved", "hated")
    np.testing.assert_array_equal(given.label, np.stack([rating > 3, rating == 5, rating == 1], axis=1))
    assert (np.diff(given.query) >= 0).all()


def test_histories_end_before_the_row(log: Dataset) -> None:
    rows = np.flatnonzero(log.rating != 3)[::2]
    batch = rating_rows(log, rows, history=True).batch(np.arange(len(rows)))
    for kind, low, high in (("liked_items", 4, 5), ("disliked_items", 1, 2)):
        for row, codes in zip(rows, batch[kind].tolist(), strict=True):
            earlier = range(log.indptr[log.user_idx[row]], row)
            films = [int(log.item_idx[event]) + 1 for event in earlier if low <= log.rating[event] <= high]
            assert codes == ([0] * HISTORY + films)[-HISTORY:]


def test_labels_by_a_threshold_and_by_stars(log: Dataset) -> None:
    rows = np.arange(log.n_events)
    given = rating_rows(log, rows, history=True, threshold=4.0)
    np.testing.assert_array_equal(given.label[:, 0], log.rating >= 4)
    n_before = rows - log.indptr[log.user_idx]
    found = (given.queries["liked_items"] > 0).sum(1) + (given.queries["disliked_items"] > 0).sum(1)
    short = n_before <= HISTORY
    np.testing.assert_array_equal(found[short], n_before[short])  # a 3 is disliked too
    np.testing.assert_allclose(star_rows(log, rows).label[:, 0], (log.rating - 1) / 4)


def test_a_log_without_the_fields_is_refused(log: Dataset) -> None:
    rows = np.arange(log.n_events)
    for lacking in (
        replace(log, users={name: codes for name, codes in log.users.items() if name != "age"}),
        replace(log, items={"genres": log.items["genres"]}),
        replace(log, items={"year": log.items["year"]}),
    ):
        with pytest.raises(KeyError):
            rating_rows(lacking, rows)


def test_graded_rows_have_stars_where_nothing_says_liked(log: Dataset) -> None:
    rows = np.arange(log.n_events)
    given, rating = graded_rows(log, rows), log.rating
    assert given.tasks == ("liked", "stars")
    np.testing.assert_array_equal(np.isnan(given.label[:, 0]), rating == 3)
    np.testing.assert_array_equal(given.label[rating != 3, 0], rating[rating != 3] > 3)
    np.testing.assert_array_equal(given.label[:, 1], (rating - 1) / 4)
    assert not np.isnan(graded_rows(log, rows, threshold=4.0).label).any()
    assert given.schema == rating_rows(log, rows[rating != 3]).schema
