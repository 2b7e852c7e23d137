"""Features as of a moment, against a slow oracle; nothing after as_of reaches them."""

import statistics
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests import home as homes
from warehouse.errors import MatineeError
from warehouse.runs import feature_tables, files, lifecycle, snapshot

AS_OF = homes.START + timedelta(hours=60)
TABLES = ("users", "items", "user_features", "item_features")


def tables(home: Path, as_of: datetime = AS_OF) -> dict[str, pl.DataFrame]:
    run = homes.begin(home, as_of)
    feature_tables.write(run, homes.FEATURES)
    found = {name: files.read_table(run, name) for name in TABLES}
    lifecycle.abandon(run)
    return found


def log(home: Path) -> list[dict]:
    files = sorted((home / "events").glob("*.parquet"))
    return [
        row for row in pl.concat([pl.read_parquet(f) for f in files]).to_dicts() if row["event_at"] < AS_OF
    ]


def test_user_features_match_the_oracle(home: Path) -> None:
    events, items = log(home), pl.read_parquet(home / "catalog" / "items.parquet").to_dicts()
    film = {row["item_id"]: row for row in items}
    for row in tables(home)["user_features"].to_dicts():
        mine = [event for event in events if event["user_id"] == row["user_id"]]
        ages = [(AS_OF - event["event_at"]) / timedelta(days=1) for event in mine]
        ratings = [event["rating"] for event in mine]
        assert row["n_ratings"] == len(mine)
        assert row["rating_mean"] == (pytest.approx(statistics.fmean(ratings)) if mine else None)
        assert row["rating_variance"] == (pytest.approx(statistics.pvariance(ratings)) if mine else None)
        assert row["activity"] == pytest.approx(sum(0.5 ** (age / 90) for age in ages))
        assert row["n_ratings_1d"] == sum(age <= 1 for age in ages)
        assert row["active_days"] == len({event["event_at"].date() for event in mine})
        assert row["first_event_at"] == min((event["event_at"] for event in mine), default=None)
        assert row["last_event_at"] == max((event["event_at"] for event in mine), default=None)
        years = [film[event["item_id"]]["year"] for event in mine]
        assert row["typical_year"] == (statistics.median(years) if mine else None)
        assert row["top_genres"] == top_genres(mine, events, film)


def top_genres(mine: list[dict], events: list[dict], film: dict[int, dict]) -> list[str]:
    overall = Counter(genre for event in events for genre in film[event["item_id"]]["genres"])
    taste = Counter(genre for event in mine for genre in film[event["item_id"]]["genres"])
    lift = {}
    for genre, count in taste.items():
        p = overall[genre] / len(events)
        lift[genre] = (count + 20 * p) / ((len(mine) + 20) * p)
    return sorted(lift, key=lambda genre: (-round(lift[genre], 12), genre))[:3]


def test_item_features_match_the_oracle(home: Path) -> None:
    events = log(home)
    mean, users = statistics.fmean(e["rating"] for e in events), len({e["user_id"] for e in events})
    for row in tables(home)["item_features"].to_dicts():
        mine = [event for event in events if event["item_id"] == row["item_id"]]
        ratings = [event["rating"] for event in mine]
        ages = [(AS_OF - event["event_at"]) / timedelta(days=1) for event in mine]
        assert row["n_ratings"] == len(mine)
        assert row["popularity"] == pytest.approx(len(mine) / users)
        assert row["popularity_decayed"] == pytest.approx(sum(0.5 ** (age / 30) for age in ages))
        assert row["rating_mean"] == (pytest.approx(statistics.fmean(ratings)) if mine else None)
        assert row["rating_mean_smoothed"] == pytest.approx((sum(ratings) + 10 * mean) / (len(mine) + 10))
        assert row["rating_variance"] == (pytest.approx(statistics.pvariance(ratings)) if mine else None)
        assert row["age_days"] == (pytest.approx(max(ages)) if mine else None)


def test_future_events_change_nothing(home: Path) -> None:
    before = tables(home)
    later = pl.read_parquet(next((home / "events").glob("*.parquet")))
    later = later.with_columns(
        event_at=pl.lit(AS_OF), user_id=pl.col("user_id") + 100, batch=pl.lit(2, pl.Int32)
    )
    homes.write_batch(home, later, 2)
    after = tables(home)
    for name in TABLES:
        assert_frame_equal(before[name], after[name])


def test_an_event_at_as_of_itself_is_in_the_future(home: Path) -> None:
    assert tables(home, homes.START + timedelta(hours=3))["user_features"]["n_ratings"].sum() == 3


def test_a_later_rating_of_the_same_film_replaces_the_earlier_from_its_own_time_on(home: Path) -> None:
    first = pl.read_parquet(next((home / "events").glob("*.parquet"))).head(1)
    again = first.with_columns(
        rating=6 - pl.col("rating"),
        event_at=pl.lit(homes.START + timedelta(hours=30)),
        batch=pl.lit(2, pl.Int32),
    )
    homes.write_batch(home, again, 2)
    user, item = first["user_id"][0], first["item_id"][0]
    for hours, rating in ((20, first["rating"][0]), (40, again["rating"][0])):
        run = homes.begin(home, homes.START + timedelta(hours=hours))
        with snapshot.connect(run) as con:
            events = pl.DataFrame(snapshot.read_events(con))
        mine = events.filter((pl.col("user_id") == user) & (pl.col("item_id") == item))
        assert mine["rating"].to_list() == [rating]
        assert len(events) == hours  # one an hour; the second rating replaced the first
        lifecycle.abandon(run)


def test_a_user_whom_no_file_names_enters_with_the_first_event_before_as_of(home: Path) -> None:
    stranger = pl.read_parquet(next((home / "events").glob("*.parquet"))).head(1)
    stranger = stranger.with_columns(
        user_id=pl.lit(99), event_at=pl.lit(homes.START + timedelta(hours=10)), batch=pl.lit(2, pl.Int32)
    )
    homes.write_batch(home, stranger, 2)
    assert 99 not in tables(home, homes.START + timedelta(hours=10))["users"]["user_id"]
    users = tables(home, homes.START + timedelta(hours=11))["users"]
    assert users.filter(user_id=99).row(0) == (99, None, None, None, None)


def test_without_a_users_file_the_users_are_those_with_events(home: Path) -> None:
    (home / "catalog" / "users.parquet").unlink()
    assert tables(home)["users"]["user_id"].to_list() == sorted({event["user_id"] for event in log(home)})


def test_no_event_before_as_of_says_so(home: Path) -> None:
    with pytest.raises(MatineeError, match="later --as-of"):
        tables(home, homes.START)
