"""Shards: done once, here or by workers, whatever happens to the workers."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import polars as pl
import pytest
from distributed import LocalCluster

from tasks import config as configuration
from tasks import engine
from tasks.cost import RowCounts
from tasks.steps import start
from tasks.steps.features import build_features
from tasks.steps.merge import fit_merge
from tasks.steps.rank import fit_rank
from tasks.steps.recall import recall
from tasks.steps.recommend import recommend
from tests.models.evaluation.logs import random_log
from tests.options.steps import home_with_log
from tests.warehouse import batches
from warehouse.errors import MatineeError
from warehouse.events import log as event_log
from warehouse.runs import files, lifecycle
from warehouse.runs.run import Run

SETTINGS: dict[str, Any] = {
    "top_n": 5,
    "recall": {
        "channels": ["popular", "first_session", "item_cf", "user_cf", "ease", "mf", "two_tower"],
        "candidates": 30,
    },
    "holdout": {"min_targets": 100},
    "rank": {"pool": 20, "blend_weights": [0.5]},
    "channels": {
        "two_tower": {
            "towers": {"embedding_dim": 4, "mean_hidden": 4},
            "training": {"first_vectors": None, "epochs": 1},
        }
    },
    "engine": {"shard_users": 12},
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run begun on a small log."""
    return begun(home_with_log(tmp_path))


def begun(home: Path, **engine_settings: Any) -> Run:
    config = configuration.load(SETTINGS | {"engine": SETTINGS["engine"] | engine_settings})
    described = start.describe(home, "full", None, config)
    lifecycle.begin(described)
    return described


def write_number(run: Run, number: int) -> RowCounts:
    """A shard's work: a table of its number, and a note that it was done once more."""
    with run.file("calls").open("a") as stream:
        stream.write(f"{number}\n")
    return {"numbers": files.write_table(run, f"numbers/{number}", pl.DataFrame({"number": [number]}))}


def dies_once(run: Run, number: int) -> RowCounts:
    """As above, but the worker that does shard 2 first is killed."""
    if number == 2 and not run.file("killed").exists():
        run.file("killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return write_number(run, number)


def always_dies(run: Run, number: int) -> RowCounts:
    """As above, but whoever does shard 2 is killed."""
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return write_number(run, number)


def calls(run: Run) -> list[str]:
    return sorted(run.file("calls").read_text().split())


def test_shards_are_runs_of_users(run: Run) -> None:
    assert engine.shards(run, 30) == [(0, 12), (12, 24), (24, 30)]
    assert engine.shards(run, 0) == []


def test_a_rerun_does_only_what_is_missing(run: Run) -> None:
    done: list[int] = []
    assert engine.spread(write_number, "numbers", run, 4, done.append) == {"numbers": 4}
    assert done == [1, 2, 3, 4]
    run.file("shards/numbers/00002.parquet").unlink()
    assert engine.spread(write_number, "numbers", run, 4, done.append) == {"numbers": 4}
    assert calls(run) == ["0", "1", "2", "2", "3"]
    assert engine.reports(run, "numbers")["shard"].to_list() == [0, 1, 2, 3]


def test_no_scheduler_is_one_clear_line(tmp_path: Path) -> None:
    run = begun(home_with_log(tmp_path), address="tcp://127.0.0.1:9", patience=1)
    with pytest.raises(MatineeError, match="no Dask scheduler answers at tcp"):
        engine.spread(write_number, "numbers", run, 2, print)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    # A worker takes seconds to start: two of them are enough to show that a shard kills every one.
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=None
        ) as two_workers,
    ):
        yield two_workers


def test_a_worker_that_is_killed_costs_its_shard_alone(tmp_path: Path, cluster: LocalCluster) -> None:
    run = begun(home_with_log(tmp_path), address=cluster.scheduler_address)
    assert engine.spread(dies_once, "numbers", run, 5, lambda _: None) == {"numbers": 5}
    assert set(calls(run)) == {"0", "1", "2", "3", "4"}
    assert len(list(run.folder.glob("numbers/*.parquet"))) == 5


def test_a_shard_that_kills_every_worker_ends_in_one_line(tmp_path: Path, cluster: LocalCluster) -> None:
    run = begun(home_with_log(tmp_path), address=cluster.scheduler_address)
    with pytest.raises(MatineeError, match="shard 2 was lost with one worker after the other"):
        engine.spread(always_dies, "numbers", run, 5, lambda _: None)
    done = {file: file.stat().st_mtime_ns for file in run.folder.glob("shards/numbers/*.parquet")}
    assert run.file("shards/numbers/00002.parquet") not in done
    assert engine.spread(write_number, "numbers", run, 5, lambda _: None) == {"numbers": 5}
    assert {file: file.stat().st_mtime_ns for file in done} == done


def test_the_rows_are_the_same_here_and_on_a_cluster(tmp_path: Path, cluster: LocalCluster) -> None:
    log = random_log(0, "2000-10-01", "2003-03-01", n_users=40, n_items=80, n_events=1600)
    event_log.ingest(tmp_path / "home", batches.of_log(tmp_path / "source", log, log.n_users + 4))
    run = begun(tmp_path / "home")
    build_features.fn(run)
    for channel in SETTINGS["recall"]["channels"]:
        recall.fn(run, channel)
    fit_merge.fn(run)
    fit_rank.fn(run)
    recommend.fn(run)
    here = tables(run)
    lineage = pl.read_parquet(str(run.file("lineage/*.parquet"))).filter(step="recommend")
    assert lineage.select("shards", "workers").row(0) == (4, 1)
    for n_workers in (2, 1, 3):
        cluster.scale(n_workers)
        again = on_cluster(run, cluster.scheduler_address)
        recommend.fn(again)
        assert tables(again) == here


def tables(run: Run) -> dict[str, str]:
    """Rows of what the shards wrote, by file."""
    found = [
        file
        for part in ("recommended", "pools", "user_embeddings")
        for file in run.file(part).rglob("*.parquet")
    ]
    return {str(file.relative_to(run.folder)): pl.read_parquet(file).write_json() for file in sorted(found)}


def on_cluster(run: Run, address: str) -> Run:
    """The same run with nothing of its lists done, to be computed by a cluster."""
    for folder in ("recommended", "pools", "user_embeddings/two_tower", "shards"):
        files.drop(run, folder)
    for file in run.folder.glob("lineage/*.parquet"):
        if pl.read_parquet(file)["step"][0] == "recommend":
            file.unlink()
    return begun_again(run, address)


def begun_again(run: Run, address: str) -> Run:
    config = run.config | {"engine": run.config["engine"] | {"address": address}}
    return replace(run, config=config)
