"""Publication: whole releases or none, at any moment, whatever happens."""

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests import home as homes
from warehouse.errors import MatineeError
from warehouse.releases import serving
from warehouse.runs import run as runs
from warehouse.runs import snapshot

TABLES = {
    "recommendations",
    "default_recommendations",
    "items",
    "users",
    "user_features",
    "item_features",
    "item_similarity",
    "item_embeddings",
    "user_embeddings",
    "releases",
    "metrics",
    "lineage",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return homes.write_home(tmp_path)


def ask(home: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        return con.execute(query).fetchall()


def test_a_release_holds_every_table_and_the_rows_of_its_run(home: Path) -> None:
    run = homes.publish(home)
    assert {name for (name,) in ask(home, "select table_name from duckdb_tables()")} == TABLES
    listed = ask(home, "select user_id, rank, item_id, release_id from recommendations order by 1, 2")
    expected = snapshot.read_table(run, "recommended").sort("user_id", "rank")
    assert listed == expected.select("user_id", "rank", "item_id", "release_id").rows()
    assert ask(home, "select release_id, kind, n_events, as_of from releases") == [
        (run.id, "full", 80, datetime(2002, 1, 1))
    ]


def test_the_contract_types_of_the_serving_tables(home: Path) -> None:
    homes.publish(home)
    types = dict(
        ask(home, "select column_name, data_type from duckdb_columns() where table_name = 'recommendations'")
    )
    assert types["user_id"] == types["item_id"] == types["because_item_id"] == "BIGINT"
    assert types["channels"] == "VARCHAR[]"
    columns = "select data_type from duckdb_columns() where table_name = '{}' and column_name = '{}'"
    assert ask(home, columns.format("item_embeddings", "vector")) == [("FLOAT[]",)]
    assert ask(home, columns.format("releases", "as_of")) == [("TIMESTAMP",)]
    assert ask(home, columns.format("user_features", "top_genres")) == [("VARCHAR[]",)]


def test_nothing_is_published_before_the_first_release(tmp_path: Path) -> None:
    assert serving.current_release(tmp_path) is None
    with pytest.raises(MatineeError, match="matinee nightly"):
        serving.current_file(tmp_path)


def broken(recommended: pl.DataFrame, how: str) -> pl.DataFrame:
    first = (pl.col("user_id") == 1) & (pl.col("rank") == 1)
    if how == "seen item":
        return recommended.with_columns(item_id=pl.when(first).then(SEEN).otherwise("item_id"))
    if how == "gap":
        return recommended.with_columns(rank=pl.when(first).then(99).otherwise("rank"))
    if how == "missing user":
        return recommended.filter(pl.col("user_id") != 1)
    if how == "short list":
        return recommended.filter(~((pl.col("user_id") == 1) & (pl.col("rank") == 5)))
    twice = recommended.filter((pl.col("user_id") == 1) & (pl.col("rank") == 2))["item_id"][0]
    return recommended.with_columns(item_id=pl.when(first).then(twice).otherwise("item_id"))


SEEN = -1  # replaced per test: an item that user 1 rated


@pytest.mark.parametrize("how", ["seen item", "gap", "missing user", "short list", "item twice"])
def test_a_release_that_breaks_a_check_is_never_published(
    home: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = homes.publish(home)
    run = homes.begin(home)
    recommended = homes.compute(run)
    with snapshot.connect(run) as con:
        seen = con.execute("select min(item_id) from events where user_id = 1").fetchall()[0][0]
    monkeypatch.setattr(sys.modules[__name__], "SEEN", seen)
    snapshot.write_table(run, "recommended", broken(recommended, how))
    runs.finish(run, {"n_events": 80})
    with pytest.raises(MatineeError, match="not published"):
        serving.publish(run, 5, 10)
    assert serving.current_release(home) == good.id
    assert serving.kept_releases(home) == [good.id]
    assert [row["release_id"] for row in serving.releases(home)] == [good.id]


def test_a_user_with_few_unseen_films_gets_all_of_them(home: Path) -> None:
    homes.publish(home, top_n=19)
    short = ask(home, "select user_id, count(*) from recommendations group by 1 having count(*) < 19")
    for user_id, n in short:
        rated = ask(home, f"select n_ratings from user_features where user_id = {user_id}")[0][0]
        assert n == homes.N_ITEMS - rated
    assert short


def test_rollback_walks_back_through_what_was_current(home: Path) -> None:
    first, second, third = (homes.publish(home) for _ in range(3))
    assert serving.rollback(home) == second.id
    assert serving.rollback(home) == first.id
    with pytest.raises(MatineeError, match="no earlier release"):
        serving.rollback(home)
    assert serving.rollback(home, third.id) == third.id
    assert serving.current_release(home) == third.id
    with pytest.raises(MatineeError, match="kept are"):
        serving.rollback(home, "20000101-000000-0000")


def test_after_a_rollback_the_next_release_goes_back_to_the_one_rolled_back_to(home: Path) -> None:
    first, _ = homes.publish(home), homes.publish(home)
    serving.rollback(home)
    homes.publish(home)
    assert serving.rollback(home) == first.id


def test_a_run_that_began_before_a_rollback_does_not_publish(home: Path) -> None:
    first, _ = homes.publish(home), homes.publish(home)
    run = homes.begin(home)
    homes.compute(run)
    runs.finish(run, {"n_events": 80})
    serving.rollback(home)
    with pytest.raises(MatineeError, match="rolled back"):
        serving.publish(run, 5, 10)
    assert serving.current_release(home) == first.id


def test_retention_keeps_the_newest_the_current_one_and_their_runs(home: Path) -> None:
    published = [homes.publish(home, keep=3).id for _ in range(5)]
    assert serving.kept_releases(home) == sorted(published)[-3:]
    assert {folder.name for folder in (home / "runs").glob("[!.]*")} == set(published[-3:])
    listed = serving.releases(home)
    assert [row["release_id"] for row in listed] == published[::-1]
    assert [row["kept"] for row in listed] == [True, True, True, False, False]
    assert ask(home, "select count(*) from releases") == [(5,)]


def test_the_warm_start_is_the_newest_full_release_at_or_before_as_of(home: Path) -> None:
    early, late = homes.publish(home, datetime(2001, 1, 3)), homes.publish(home, datetime(2001, 2, 1))
    assert serving.newest_full(home, datetime(2001, 1, 2)) is None
    assert serving.newest_full(home, datetime(2001, 1, 20)) == early.id
    assert serving.newest_full(home, datetime(2001, 2, 1)) == late.id


def test_a_torn_last_line_of_the_journal_never_happened(home: Path) -> None:
    first = homes.publish(home)
    journal = home / "serving" / "journal.jsonl"
    with journal.open("a") as stream:
        stream.write('{"action": "rollb')
    assert [entry["release_id"] for entry in serving.journal(home)] == [first.id]
    second = homes.publish(home)
    assert [json.loads(line)["release_id"] for line in journal.read_text().splitlines()] == [
        first.id,
        second.id,
    ]


@pytest.mark.parametrize("where", ["_build", "_validate", "_sync", "_append", "_point", "_forget"])
def test_a_publication_killed_anywhere_leaves_a_whole_release_and_a_rerun_heals(
    home: Path, where: str
) -> None:
    first = homes.publish(home)
    script = f"""
import os, signal, sys
from pathlib import Path
from tests import home as homes
from warehouse.releases import serving
real = serving.{where}
def killed(*arguments):
    real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
serving.{where} = killed
homes.publish(Path(sys.argv[1]))
"""
    done = subprocess.run([sys.executable, "-c", script, str(home)], cwd=Path(__file__).parents[3])
    assert done.returncode == -signal.SIGKILL
    after_swap = where in ("_point", "_forget")
    assert (serving.current_release(home) == first.id) != after_swap
    assert ask(home, "select count(distinct user_id) from recommendations") == [(homes.N_USERS,)]
    last = homes.publish(home)
    assert serving.current_release(home) == last.id
    assert not list((home / "serving").glob(".building-*"))
    unfinished = [f for f in (home / "runs").glob("[!.]*") if not (f / "manifest.json").exists()]
    assert unfinished == []


def test_readers_never_see_an_error_or_a_torn_release(home: Path) -> None:
    homes.publish(home)
    problems: list[str] = []
    stop = threading.Event()

    def read() -> None:
        query = (
            "select count(*), count(distinct release_id), (select count(*) from users) from recommendations"
        )
        while not stop.is_set():
            done = subprocess.run(
                [sys.executable, "-c", READER, str(home), query], capture_output=True, text=True
            )
            if done.returncode or json.loads(done.stdout) != [homes.N_USERS * 5, 1, homes.N_USERS]:
                problems.append(done.stderr or done.stdout)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(4):
        homes.publish(home)
        serving.rollback(home)
    stop.set()
    for reader in readers:
        reader.join()
    assert problems == []


READER = """
import duckdb, json, sys
with duckdb.connect(sys.argv[1] + "/serving/current.duckdb", read_only=True) as con:
    print(json.dumps(con.execute(sys.argv[2]).fetchall()[0]))
"""


def test_a_living_run_is_not_swept_and_a_dead_one_is(home: Path) -> None:
    alive = homes.begin(home)
    dead = home / "runs" / "20000101-000000-dead"
    dead.mkdir()
    (dead / "users.parquet").write_text("half")
    assert runs.sweep(home, keep=set()) == [dead.name]
    assert alive.folder.exists()
    runs.abandon(alive)
    assert not alive.folder.exists()


def test_a_full_disk_leaves_what_is_published(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = homes.publish(home)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(serving, "_sync", full)
    with pytest.raises(OSError, match="No space left"):
        homes.publish(home)
    assert serving.current_release(home) == first.id
    assert not [name for name in os.listdir(home / "serving") if name.startswith(".building")]
