"""Features as of a moment, against a slow oracle; nothing after as_of reaches them."""

import statistics
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
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
            events = con.sql("from events").pl()
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


def write_repeated(home: Path, seed: int) -> None:
    """Two more batches: films rated again, also earlier than before; users with large ids; equal times."""
    rng = np.random.default_rng(seed)
    for batch in (2, 3):
        n = 150
        events = pl.DataFrame(
            {
                "user_id": rng.choice([1, 2, 7, 5_000, 10**12], n),
                "item_id": rng.choice([10, 20, 70, 200], n),
                "rating": rng.choice(np.arange(1, 11) / 2, n).astype(np.float32),
                "event_at": [homes.START + timedelta(hours=int(hour)) for hour in rng.integers(0, 80, n)],
                "batch": np.full(n, batch, dtype=np.int32),
                "line": np.arange(1, n + 1),
            }
        )
        homes.write_batch(home, events.unique(["user_id", "item_id", "event_at"], maintain_order=True), batch)


LATEST = """
    select user_id, item_id, rating, epoch(event_at)::bigint as at, batch
    from read_parquet($files)
    where event_at < $as_of
    qualify row_number() over (
        partition by user_id, item_id order by event_at desc, batch desc, line desc
    ) = 1
    order by user_id, event_at, batch, line
"""
"""The log of a run, by a window over the whole of it."""


@pytest.mark.parametrize("block", [7, 250_000])
@pytest.mark.parametrize("seed", range(3))
def test_the_log_of_a_run_is_the_latest_ratings_in_order(
    home: Path, seed: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "BLOCK", block)
    write_repeated(home, seed)
    run = homes.begin(home, AS_OF)
    event_files = [str(home / "events" / batch) for batch in run.batches]
    with duckdb.connect() as con:
        expected = con.sql(LATEST, params={"files": event_files, "as_of": AS_OF}).pl()
    again = snapshot.read(run)  # of files that are gone again
    assert {file.name for file in run.folder.iterdir()} == {".alive", "run.json"}
    for log in (again, snapshot.write(run)):
        ids = {name: getattr(log, f"{name}s")[f"{name}_id"].to_numpy() for name in ("user", "item")}
        assert all((np.diff(column) > 0).all() for column in ids.values())
        found = {f"{name}_id": ids[name][log.events[f"{name}_idx"]] for name in ids}
        found |= {name: log.events[name] for name in ("rating", "at", "batch")}
        assert_frame_equal(pl.DataFrame(found), expected)
        assert {name: column.dtype for name, column in log.events.items()} == snapshot.EVENT
    with snapshot.connect(run) as con:
        events = con.sql("select user_id, item_id, rating, epoch(event_at)::bigint as at, batch from events")
        assert_frame_equal(events.pl(), expected, check_row_order=False)


@pytest.mark.parametrize("seed", range(3))
def test_features_are_those_of_the_whole_log_however_it_is_cut_and_by_any_number_of_threads(
    home: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_repeated(home, seed)
    whole = tables(home)
    for length in (1, 20):
        monkeypatch.setattr(feature_tables, "RANGE", length)
        by_threads = []
        for threads in (1, 3):
            monkeypatch.setattr(pl, "thread_pool_size", lambda threads=threads: threads)
            by_threads.append(tables(home))
        one, several = by_threads
        for name in TABLES:
            assert_frame_equal(one[name], several[name], check_exact=True)
            assert_frame_equal(one[name], whole[name], rel_tol=1e-12, abs_tol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_new_events_are_those_of_the_log_that_the_parent_did_not_see(home: Path, seed: int) -> None:
    parent = homes.begin(home, homes.START + timedelta(hours=40))
    write_repeated(home, seed)
    run = homes.begin(home, AS_OF)
    events = snapshot.read(run).events
    is_new = (events["at"] >= parent.as_of.replace(tzinfo=UTC).timestamp()) | (events["batch"] > 1)
    assert snapshot.n_new_events(run, parent) == is_new.sum() > 0
    assert snapshot.n_new_events(run, run) == 0
    assert {file.name for file in parent.folder.iterdir()} == {".alive", "run.json"}


def test_no_event_before_as_of_says_so(home: Path) -> None:
    with pytest.raises(MatineeError, match="later --as-of"):
        tables(home, homes.START)
