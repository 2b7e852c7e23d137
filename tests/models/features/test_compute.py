"""Features of a query, and of a query and an item, against plain definitions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.dataset import DAY, Dataset, Queries, queries_at
from models.features.compute import Pairs, PastIndex
from models.features.registry import OF_PAIR, OF_QUERY
from tests.models.evaluation.logs import random_log

LOG = random_log(1, "2001-01-01", "2001-03-01", n_users=8, n_items=12, n_events=300)


def queries_of(log: Dataset, n: int = 80) -> Queries:
    """Histories of any length, some of them empty, asked at the time of the newest event or later."""
    rng = np.random.default_rng(5)
    user = rng.integers(0, log.n_users, n).astype(np.int32)
    start = log.indptr[user]
    end = rng.integers(start, log.indptr[user + 1] + 1)
    at = np.where(end > start, log.at[np.maximum(end - 1, 0)], log.at.min()) + rng.integers(0, 2, n) * 3600
    return Queries(user, at, start, end, log)


def pairs_of(queries: Queries) -> Pairs:
    n_items = queries.log.n_items
    query = np.repeat(np.arange(len(queries)), n_items)
    item = np.tile(np.arange(n_items, dtype=np.int32), len(queries))
    rank = np.where(item % 3 == 0, 1.0 + item, np.nan).astype(np.float32)[:, None]
    best = np.ones((len(queries), 1), dtype=np.float32)
    return Pairs(PastIndex(queries.log), queries, query, item, rank, 1 / rank, best)


QUERIES = queries_of(LOG)
PAIRS = pairs_of(QUERIES)


def history(query: int) -> list[int]:
    return list(range(QUERIES.start[query], QUERIES.end[query]))


def test_hour_and_weekday() -> None:
    monday = np.datetime64("2001-01-01T17:30", "s").astype(np.int64)
    nothing = np.zeros(3, dtype=np.int64)
    queries = Queries(nothing.astype(np.int32), monday + np.array([0, DAY, 6 * DAY]), nothing, nothing, LOG)
    assert OF_QUERY["hour"](queries).tolist() == [17, 17, 17]
    assert OF_QUERY["weekday"](queries).tolist() == [0, 1, 6]


def test_newest_events() -> None:
    items = OF_QUERY["newest_items"](QUERIES, newest=4)
    rating = OF_QUERY["newest_rating"](QUERIES)
    minutes = OF_QUERY["minutes_since"](QUERIES, position=2)
    for query in range(len(QUERIES)):
        rows = history(query)
        expected = [-1] * 4 + LOG.item_idx[rows].tolist()
        assert items[query].tolist() == expected[-4:]
        assert rating[query] == pytest.approx(LOG.rating[rows[-1]] if rows else np.nan, nan_ok=True)
        since = (QUERIES.at[query] - LOG.at[rows[-3]]) / 60 if len(rows) > 2 else np.nan
        assert minutes[query] == pytest.approx(since, nan_ok=True)


def followers(
    query: int,
    item: int,
    position: int,
    nearest: int,
    farthest: int,
    half_life_days: float,
    raters: int = 1_000,
) -> float:
    rows = history(query)
    if len(rows) <= position:
        return np.nan
    me, now, film = QUERIES.user_idx[query], QUERIES.at[query], LOG.item_idx[rows[-1 - position]]
    total, found = 1.0, 0.0
    earlier = (LOG.item_idx == film) & (LOG.user_idx != me) & (LOG.at < now)
    by_time = sorted(np.flatnonzero(earlier).tolist(), key=lambda row: (LOG.at[row], row))
    for row in by_time[-raters:]:
        weight = 0.5 ** ((now - LOG.at[row]) / DAY / half_life_days)
        total += weight
        for near in range(row + nearest, row + farthest + 1):
            if 0 <= near < LOG.n_events and LOG.user_idx[near] == LOG.user_idx[row] and LOG.at[near] < now:
                found += weight * (LOG.item_idx[near] == item)
    return found / total


def rating_gap(query: int, item: int) -> float:
    ratings = LOG.rating[(LOG.item_idx == item) & (LOG.at < QUERIES.at[query])]
    mine = LOG.rating[history(query)]
    return ratings.mean(dtype=float) - mine.mean(dtype=float) if len(ratings) and len(mine) else np.nan


def genre_match(query: int, item: int, newest: int) -> float:
    genres = LOG.items["genres"]
    films, mine = LOG.item_idx[history(query)[-newest:]], np.flatnonzero(genres[item])
    if not len(films) or not len(mine):
        return np.nan
    return float(np.mean([genres[films, genre].mean() for genre in mine]))


def year_distance(query: int, item: int, newest: int) -> float:
    films = LOG.item_idx[history(query)[-newest:]]
    return LOG.items["year"][item] - LOG.items["year"][films].mean() if len(films) else np.nan


def index_distance(query: int, item: int, position: int) -> float:
    rows = history(query)
    return item - LOG.item_idx[rows[-1 - position]] if len(rows) > position else np.nan


@pytest.mark.parametrize(
    ("oracle", "parameters"),
    [
        (followers, {"position": 0, "nearest": 1, "farthest": 1, "half_life_days": 400.0}),
        (followers, {"position": 2, "nearest": 1, "farthest": 5, "half_life_days": 30.0}),
        (followers, {"position": 1, "nearest": -3, "farthest": -1, "half_life_days": 30.0}),
        (followers, {"position": 0, "nearest": 1, "farthest": 9, "half_life_days": 90.0, "raters": 3}),
        (rating_gap, {}),
        (genre_match, {"newest": 3}),
        (genre_match, {"newest": 1000}),
        (year_distance, {"newest": 5}),
        (index_distance, {"position": 1}),
    ],
)
def test_pairs(oracle: Any, parameters: dict[str, Any]) -> None:
    found = OF_PAIR[oracle.__name__](PAIRS, **parameters)
    expected = [
        oracle(query, item, **parameters) for query, item in zip(PAIRS.query, PAIRS.item, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert np.isfinite(found).any()


def test_a_film_without_genres_or_year_has_no_match_and_no_distance() -> None:
    items = {
        "genres": np.zeros_like(LOG.items["genres"]),
        "year": np.full(LOG.n_items, -1, dtype=np.int32),
    }
    pairs = pairs_of(queries_of(replace(LOG, items=items)))
    assert np.isnan(OF_PAIR["genre_match"](pairs, newest=3)).all()
    assert np.isnan(OF_PAIR["year_distance"](pairs, newest=3)).all()


def test_lists_that_hold_an_item_are_counted() -> None:
    np.testing.assert_array_equal(OF_PAIR["n_channels"](PAIRS), PAIRS.item % 3 == 0)


def test_an_index_of_mapped_columns_is_the_index_of_the_log(tmp_path: Path) -> None:
    columns = PAIRS.past.columns()
    assert sum(column.nbytes for column in columns.values()) < 20 * LOG.n_events + 1_000
    for name, column in columns.items():
        np.save(tmp_path / name, column)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in columns}
    other = replace(PAIRS, past=PastIndex.of(LOG, mapped))
    for what, parameters in (
        ("rating_gap", {}),
        ("followers", {"position": 0, "nearest": 1, "farthest": 5, "half_life_days": 30.0}),
    ):
        np.testing.assert_array_equal(OF_PAIR[what](other, **parameters), OF_PAIR[what](PAIRS, **parameters))
    with pytest.raises(ValueError, match="of another log"):
        PastIndex.of(LOG.before(int(LOG.at.max())), mapped)


def slow_page_counts(
    pairs: Pairs, part: str, newest: int, fading: float, half_life_days: float, raters: int
) -> Any:
    log, until = pairs.queries.log, pairs.past.visible_until
    found = []
    for query, item in zip(pairs.query, pairs.item, strict=True):
        user, now = pairs.queries.user_idx[query], pairs.queries.at[query]
        films = log.item_idx[pairs.queries.start[query] : pairs.queries.end[query]][::-1][:newest]
        total = 0.0
        for back, film in enumerate(films):
            rows = [row for row in by_time(log) if log.item_idx[row] == film and log.user_idx[row] != user]
            before = [row for row in rows if log.at[row] < now][::-1][:raters]
            after = [row for row in rows if now <= log.at[row] < max(now, until)][:raters]
            weight = {row: 0.5 ** (abs(now - log.at[row]) / (half_life_days * DAY)) for row in before + after}
            hit = sum(weight[row] * near(log, row, part, max(now, until)).count(item) for row in weight)
            total += fading**back * hit / (1 + sum(weight.values()))
        found.append(total)
    return np.array(found)


def by_time(log: Dataset) -> list[int]:
    return np.argsort(log.at, kind="stable").tolist()


def near(log: Dataset, row: int, part: str, until: int) -> list[int]:
    of_user = [other for other in range(log.n_events) if log.user_idx[other] == log.user_idx[row]]
    same = [other for other in of_user if log.at[other] == log.at[row]]
    later = [other for other in of_user if log.at[other] > log.at[row]][:12]
    soon = [other for other in later if log.at[other] < min(log.at[row] + 1800, until)]
    rows = {"same": same, "after": [other for other in same if other > row], "next": soon}[part]
    return log.item_idx[rows].tolist()


@pytest.mark.parametrize("part", ["same", "after", "next"])
@pytest.mark.parametrize("visible_until", [0, LOG.as_of])
@pytest.mark.parametrize(("newest", "fading", "raters"), [(1, 1.0, 500), (3, 0.5, 4)])
def test_page_counts(part: str, visible_until: int, newest: int, fading: float, raters: int) -> None:
    log = replace(LOG, at=LOG.at.min() + (LOG.at - LOG.at.min()) // (8 * 3600) * 600)  # pages, and soon more
    queries = queries_of(log, 12)
    pairs = replace(pairs_of(queries), past=PastIndex(log, visible_until=visible_until))
    settings = {"newest": newest, "fading": fading, "half_life_days": 300.0, "raters": raters}
    counts = OF_PAIR["page_counts"](pairs, part=part, **settings)
    np.testing.assert_allclose(counts, slow_page_counts(pairs, part, **settings), atol=1e-9)
    assert counts.any()


def test_of_a_long_page_the_nearest_count() -> None:
    """The clock of a log may show only days: pages of thousands of ratings."""
    n = 200
    user, item = np.repeat([0, 1], [n, 1]).astype(np.int32), np.append(np.arange(n), 70).astype(np.int32)
    at = np.repeat([0, DAY], [n, 1])
    log = Dataset(user, item, np.ones(n + 1, np.float32), at, 2, n, 2 * DAY)
    pairs = pairs_of(queries_at(log, users=np.array([1], dtype=np.int32)))
    for part, counted in (("same", np.arange(20, 121)), ("after", np.arange(71, 121))):
        counts = OF_PAIR["page_counts"](pairs, part=part, half_life_days=300.0)
        np.testing.assert_array_equal(np.flatnonzero(counts), counted)
