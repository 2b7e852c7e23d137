"""A tiny home, written by hand, for tests of what comes after the log."""

import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from warehouse.releases import journal
from warehouse.releases.publication import publish as publish_run
from warehouse.runs import feature_tables, files, lifecycle, snapshot
from warehouse.runs.run import Run, new_run_id, utc_now

FEATURES = tomllib.loads((Path(__file__).parents[1] / "tasks" / "features.toml").read_text())
N_USERS, N_ITEMS = 12, 20
START = datetime(2001, 1, 1)


def write_home(home: Path, n_events: int = 80, seed: int = 0) -> Path:
    """A log of ``n_events`` distinct (user, item) pairs, one an hour from START; user 12 rates nothing."""
    rng = np.random.default_rng(seed)
    pair = rng.choice((N_USERS - 1) * N_ITEMS, n_events, replace=False)
    events = pl.DataFrame(
        {
            "user_id": pair // N_ITEMS + 1,
            "item_id": (pair % N_ITEMS + 1) * 10,
            "rating": rng.integers(1, 6, n_events).astype(np.float32),
            "event_at": [START + timedelta(hours=hour) for hour in range(n_events)],
            "batch": np.ones(n_events, dtype=np.int32),
            "line": np.arange(1, n_events + 1),
        }
    )
    write_batch(home, events, 1)
    (home / "catalog").mkdir(exist_ok=True)
    pl.DataFrame(
        {
            "item_id": np.arange(1, N_ITEMS + 1) * 10,
            "title": [f"Film {number} ({1980 + number})" for number in range(1, N_ITEMS + 1)],
            "year": np.arange(1981, 1981 + N_ITEMS, dtype=np.int32),
            "genres": [["Drama", "War"] if number % 2 else ["Comedy"] for number in range(N_ITEMS)],
        }
    ).write_parquet(home / "catalog" / "items.parquet")
    pl.DataFrame(
        {
            "user_id": np.arange(1, N_USERS + 1),
            "gender": ["F", "M"] * (N_USERS // 2),
            "age": np.array([25, 35, 45] * (N_USERS // 3), dtype=np.int32),
            "occupation": np.zeros(N_USERS, dtype=np.int32),
            "zip": ["12345"] * N_USERS,
        }
    ).write_parquet(home / "catalog" / "users.parquet")
    return home


def write_batch(home: Path, events: pl.DataFrame, batch: int) -> None:
    """An event file as ingest writes it."""
    (home / "events").mkdir(parents=True, exist_ok=True)
    events.write_parquet(home / "events" / f"{batch:06d}-{'0' * 12}.parquet")


def begin(home: Path, as_of: datetime = datetime(2002, 1, 1)) -> Run:
    """A run over all event files, begun."""
    now = utc_now()
    batches = tuple(sorted(file.name for file in (home / "events").glob("*.parquet")))
    run = Run(
        id=new_run_id(now),
        home=home,
        kind="full",
        as_of=as_of,
        batches=batches,
        parent_id=None,
        config={"top_n": 5},
        source="hand",
        code_version="test",
        created_at=now,
        journal_length=len(journal.entries(home)),
    )
    lifecycle.begin(run)
    return run


def compute(run: Run, top_n: int = 5) -> pl.DataFrame:
    """The run's tables, with the first unseen films for everybody as its recommendations."""
    feature_tables.write(run, FEATURES)
    users, items = files.read_table(run, "users"), files.read_table(run, "items")
    with snapshot.connect(run) as con:
        seen = con.sql("select user_id, item_id from events").pl()
    unseen = (
        users.select("user_id")
        .join(items.select("item_id"), how="cross")
        .join(seen, on=["user_id", "item_id"], how="anti")
    )
    recommended = (
        unseen.sort("user_id", "item_id")
        .with_columns(rank=pl.int_range(1, pl.len() + 1).over("user_id"))
        .filter(pl.col("rank") <= top_n)
        .with_columns(
            score=1 / pl.col("rank"),
            channels=pl.lit(["oracle"], dtype=pl.List(pl.String)),
            because_item_id=pl.lit(None, dtype=pl.Int64),
            because_liked=pl.lit(False),
            experiment=pl.lit(None, dtype=pl.String),
            propensity=pl.lit(1.0),
            release_id=pl.lit(run.id),
        )
    )
    files.write_table(run, "recommended/00000", recommended)
    segments = items.select("item_id").head(top_n).with_row_index("rank", offset=1)
    segments = segments.with_columns(segment=pl.lit("all"), score=pl.lit(1.0))
    files.write_table(run, "segments", segments)
    return recommended


def finish(run: Run) -> None:
    """Close a computed run."""
    with snapshot.connect(run) as con:
        lifecycle.finish(run, {"n_events": con.execute("select count(*) from events").fetchall()[0][0]})


def publish(home: Path, as_of: datetime = datetime(2002, 1, 1), top_n: int = 5, keep: int = 10) -> Run:
    """A whole run, published."""
    run = begin(home, as_of)
    compute(run, top_n)
    finish(run)
    publish_run(run, top_n, keep)
    return run
