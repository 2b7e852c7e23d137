"""Statistics at any moment against the same computed from the ratings that lie before it, one by one."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.dataset import DAY, Dataset, Queries
from models.features.statistics import (
    STATISTICS,
    by_item,
    by_user,
    of_items,
    of_users,
    orders,
    statistic,
    updated_orders,
)
from tests.models.evaluation.logs import random_log

PARAMETERS: dict[str, dict[str, Any]] = {
    "decayed_count": {"half_life_days": 3.0},
    "smoothed_mean": {"prior": 2.0},
}


def oracle(
    name: str,
    times: Sequence[int],
    ratings: Sequence[float],
    at: int,
    log: Dataset,
    parameters: dict[str, Any],
) -> float:
    """The definition, over ratings before ``at``; a window keeps those of its days alone."""
    window = parameters.get("window_days", math.inf)
    inside = [(t, r) for t, r in zip(times, ratings, strict=True) if at - t <= window * DAY]
    ages = [(at - t) / DAY for t, _ in inside]
    values = [float(r) for _, r in inside]
    everyone = log.at < at
    if name == "count":
        return len(inside)
    if name == "mean":
        return float(np.mean(values)) if values else math.nan
    if name == "variance":
        return float(np.var(values)) if values else math.nan
    if name == "smoothed_mean":
        overall = log.rating[everyone].mean(dtype=float) if everyone.any() else math.nan
        return (sum(values) + parameters["prior"] * overall) / (len(values) + parameters["prior"])
    if name == "decayed_count":
        return sum(0.5 ** (age / parameters["half_life_days"]) for age in ages)
    if name == "fraction":
        return len(inside) / max(1, len(set(log.user_idx[everyone].tolist())))
    if name == "days":
        return len({t // DAY for t, _ in inside})
    if name == "oldest_age":
        return max(ages, default=math.nan)
    assert name == "newest_age"
    return min(ages, default=math.nan)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    n_events=st.integers(0, 80),
    window=st.sampled_from([None, 0.25, 1, 10]),
    name=st.sampled_from(sorted(STATISTICS)),
)
def test_statistics_of_items_know_what_was_strictly_before_and_nothing_else(
    seed: int, n_events: int, window: float | None, name: str
) -> None:
    log = random_log(seed, "2001-01-01", "2001-01-20", n_users=5, n_items=6, n_events=max(n_events, 1))
    log = log.where(np.arange(log.n_events) < n_events)
    rng = np.random.default_rng(seed)
    at = rng.choice(np.append(log.at, 978_307_200 + 5 * DAY), 12)  # ties with events are the hard case
    item = rng.integers(0, 6, 12).astype(np.int32)
    parameters = PARAMETERS.get(name, {}) | (
        {"window_days": window} if window and name not in PARAMETERS else {}
    )
    found = statistic(name, of_items(by_item(log), item, at), parameters)
    for number in range(12):
        rows = (log.item_idx == item[number]) & (log.at < at[number])
        expected = oracle(name, log.at[rows], log.rating[rows], at[number], log, parameters)
        assert found[number] == pytest.approx(expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", sorted(set(STATISTICS) - {"fraction", "smoothed_mean"}))
def test_statistics_of_users_know_the_history_of_the_query(name: str) -> None:
    log = random_log(3, "2001-01-01", "2001-02-01", n_users=4, n_events=200)
    rows = np.random.default_rng(0).integers(0, log.n_events, 40)
    user = log.user_idx[rows]
    # Asked at the time of the history's newest event, as in leave-one-out: that event is known.
    queries = Queries(user, log.at[rows], log.indptr[user], rows + 1, log)
    parameters = PARAMETERS.get(name, {}) if name == "decayed_count" else {"window_days": 2}
    found = statistic(name, of_users(by_user(log), queries), parameters)
    for number, (begin, end) in enumerate(zip(queries.start, queries.end, strict=True)):
        times, ratings = log.at[begin:end], log.rating[begin:end]
        expected = oracle(name, times, ratings, queries.at[number], log, parameters)
        assert found[number] == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_sums_at_every_few_rows_are_the_running_sums() -> None:
    """The former computation: a sum before every row of the log, a statistic the difference of two."""
    log = random_log(5, "2000-01-01", "2002-01-01", n_users=50, n_items=40, n_events=5_000)
    rng = np.random.default_rng(1)
    item, at = rng.integers(0, 40, 2_000).astype(np.int32), rng.choice(log.at, 2_000)
    order = np.lexsort((log.at, log.item_idx))
    bounds = np.searchsorted(log.item_idx[order], np.arange(41))
    time, rating = log.at[order], log.rating[order].astype(np.float64)
    sums, squares = (np.append(0, np.cumsum(values)) for values in (rating, rating**2))
    begin = bounds[item]
    end = np.array(
        [np.searchsorted(time[bounds[i] : bounds[i + 1]], t) for i, t in zip(item, at, strict=True)]
    )
    end += begin
    n = np.where(end > begin, end - begin, np.nan)
    mean = (sums[end] - sums[begin]) / n
    past = of_items(by_item(log), item, at)
    np.testing.assert_array_equal(statistic("mean", past, {}), mean)
    np.testing.assert_array_equal(
        statistic("variance", past, {}), np.maximum((squares[end] - squares[begin]) / n - mean**2, 0)
    )


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), n_before=st.integers(0, 60), n_refreshed=st.integers(0, 8))
def test_orders_made_of_those_of_an_earlier_log_are_those_of_the_log(
    seed: int, n_before: int, n_refreshed: int
) -> None:
    """Some users have other rows than then, new ones among them; users and items have got other numbers."""
    rng = np.random.default_rng(seed)
    users, items = np.sort(rng.choice(12, 8, replace=False)), np.sort(rng.choice(10, 6, replace=False))
    refreshed = np.zeros(12, dtype=bool)
    refreshed[rng.choice(12, n_refreshed, replace=False)] = True
    refreshed[np.setdiff1d(np.arange(12), users)] = True

    def log(n: int, who: np.ndarray, what: np.ndarray) -> np.ndarray:
        """Columns user, time, item, rating; by user and time."""
        columns = [rng.choice(who, n), rng.integers(0, 9, n), rng.choice(what, n), rng.integers(1, 6, n)]
        rows = np.stack(columns, axis=1)
        return rows[np.lexsort((rows[:, 1], rows[:, 0]))]

    def dataset(rows: np.ndarray, n_users: int, n_items: int) -> Dataset:
        user, at, item, rating = rows.T
        events = user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32), at.astype(np.int64)
        return Dataset(*events, n_users, n_items, 10)

    before = log(n_before, np.arange(8), np.arange(6))
    moved = np.stack([users[before[:, 0]], before[:, 1], items[before[:, 2]], before[:, 3]], axis=1)
    again = log(20, np.flatnonzero(refreshed), np.arange(10)) if refreshed.any() else moved[:0]
    rows = np.concatenate([moved[~refreshed[moved[:, 0]]], again])
    then = dataset(before, 8, 6)
    now = dataset(rows[np.lexsort((np.arange(len(rows)), rows[:, 1], rows[:, 0]))], 12, 10)
    found = updated_orders(now, orders(then), then.user_idx, users, refreshed)
    for name, column in orders(now).items():
        assert found[name].dtype == column.dtype
        np.testing.assert_array_equal(found[name], column)
