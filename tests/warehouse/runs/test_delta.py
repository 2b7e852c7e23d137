"""The log of an incremental run, merged from its parent's, against the same encoded from scratch."""

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests import home as homes
from warehouse.runs import feature_tables, files, lifecycle, snapshot
from warehouse.runs.run import Run

LATER = """
    select count(*) from (
        select * from read_parquet($files) where event_at < $as_of
        qualify row_number() over (
            partition by user_id, item_id order by event_at desc, batch desc, line desc
        ) = 1
    ) where event_at >= $seen_before or not list_contains($seen, batch)
"""
"""Events that an earlier run did not see, by a window over the whole log."""


def write_batch(home: Path, number: int, rng: np.random.Generator) -> None:
    """Ratings of old and new users and films: late, at equal times, of films rated before."""
    n = int(rng.integers(1, 60))
    items = pl.read_parquet(home / "catalog" / "items.parquet")
    new = items.head(2).with_columns(
        item_id=pl.Series([number * 7, number * 7 + 1000]), genres=pl.Series([["New"], ["Old", "New"]])
    )
    films = pl.concat([items, new]).unique("item_id", keep="first").sort("item_id")
    films.write_parquet(home / "catalog" / "items.parquet")
    events = pl.DataFrame(
        {
            "user_id": rng.choice([1, 2, 7, 12, 5_000 - number, 10**12], n),
            "item_id": rng.choice(films["item_id"].to_numpy(), n),
            "rating": rng.choice(np.arange(1, 11) / 2, n).astype(np.float32),
            "event_at": [homes.START + timedelta(hours=int(hour)) for hour in rng.integers(0, 80, n)],
            "batch": np.full(n, number, dtype=np.int32),
            "line": np.arange(1, n + 1),
        }
    )
    homes.write_batch(home, events.unique(["user_id", "item_id", "event_at"], maintain_order=True), number)


def finished(run: Run) -> Run:
    lifecycle.finish(run, {})
    return run


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10**6), hours=st.lists(st.integers(1, 90), min_size=2, max_size=4))
def test_the_log_of_an_incremental_run_is_that_of_all_events(seed: int, hours: list[int]) -> None:
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        home = homes.write_home(Path(folder))
        first, *others = (homes.START + timedelta(hours=hour) for hour in sorted(hours))
        parent = homes.begin(home, first)
        snapshot.write(parent)
        finished(parent)
        for number, as_of in enumerate(others, 2):
            if rng.random() < 0.7:
                write_batch(home, number, rng)
            full = homes.begin(home, as_of)
            run = replace(homes.begin(home, as_of), kind="incremental", parent_id=parent.id)
            event_files = [str(home / "events" / batch) for batch in run.batches]
            seen = snapshot.seen_batches(parent)
            parameters = {"files": event_files, "as_of": as_of, "seen_before": parent.as_of, "seen": seen}
            ((n_new,),) = duckdb.execute(LATER, parameters).fetchall()
            assert snapshot.n_new_events(run, parent) == n_new
            found, expected = snapshot.write(run), snapshot.write(full)
            for name, dtype in snapshot.EVENT.items():
                assert found.events[name].dtype == dtype
                np.testing.assert_array_equal(found.events[name], expected.events[name])
            assert_frame_equal(found.users, expected.users)
            assert_frame_equal(found.items, expected.items)
            assert len(snapshot.new_rows(found.events, parent)) == n_new
            parent = finished(run)


def test_features_of_what_has_new_ratings_are_exact_and_all_others_stay(home: Path) -> None:
    parent = homes.begin(home, homes.START + timedelta(hours=60))
    feature_tables.write(parent, homes.FEATURES)
    finished(parent)
    write_batch(home, 2, np.random.default_rng(3))
    as_of = homes.START + timedelta(hours=63)
    full, run = homes.begin(home, as_of), homes.begin(home, as_of)
    run = replace(run, kind="incremental", parent_id=parent.id)
    for one in (full, run):
        feature_tables.write(one, homes.FEATURES)
    log = snapshot.read(run)
    rows = snapshot.new_rows(log.events, parent)
    for side in ("user", "item"):
        key, name = f"{side}_id", f"{side}_features"
        ids = getattr(log, f"{side}s")[key].to_numpy()
        then, now, exact = (files.read_table(one, name) for one in (parent, run, full))
        fresh = np.union1d(ids[log.events[f"{side}_idx"][rows]], np.setdiff1d(ids, then[key]))
        is_fresh = pl.col(key).is_in(fresh.tolist())
        assert 0 < len(fresh) < len(ids)
        assert_frame_equal(now.filter(is_fresh), exact.filter(is_fresh))
        assert_frame_equal(now.filter(~is_fresh), then.filter(~is_fresh))
        assert now[key].to_list() == ids.tolist()
