"""Publication: whole releases or none, at any moment, whatever happens."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from tests import home as homes
from warehouse import sql
from warehouse.errors import MatineeError
from warehouse.events import exposures
from warehouse.releases import journal, queries, serving
from warehouse.releases.build import SCHEMA_VERSION
from warehouse.releases.publication import publish
from warehouse.releases.rollback import roll_back
from warehouse.releases.shown import record_published
from warehouse.runs import files, lifecycle, snapshot
from warehouse.runs.run import Run, check_whole, is_whole, new_run_id, utc_now

TABLES = {
    "recommendations",
    "default_recommendations",
    "items",
    "users",
    "user_features",
    "item_features",
    "item_similarity",
    "item_communities",
    "questions",
    "item_embeddings",
    "user_embeddings",
    "releases",
    "experiments",
    "metrics",
    "curves",
    "checks",
    "lineage",
}


def ask(home: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        return con.execute(query).fetchall()


def test_a_release_holds_every_table_and_the_rows_of_its_run(home: Path) -> None:
    run = homes.publish(home)
    assert {name for (name,) in ask(home, "select table_name from duckdb_tables()")} == TABLES
    listed = ask(home, "select user_id, rank, item_id, release_id from recommendations order by 1, 2")
    expected = files.read_parts(run, "recommended").sort("user_id", "rank")
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
    for ask_for in (serving.current_file, serving.published_release):
        with pytest.raises(MatineeError, match="matinee nightly"):
            ask_for(tmp_path)


FIRST = (pl.col("user_id") == 1) & (pl.col("rank") == 1)


def changed(run: Run, column: str, value: int) -> None:
    """Change the first row of user 1."""
    recommended = files.read_parts(run, "recommended")
    new = pl.when(FIRST).then(value).otherwise(column).alias(column)
    files.write_table(run, "recommended/00000", recommended.with_columns(new))


def without(run: Run, table: str, rows: pl.Expr) -> None:
    """Leave rows of a table out."""
    files.write_table(run, table, files.read_table(run, table).filter(~rows))


def seen_item(run: Run) -> None:
    with snapshot.connect(run) as con:
        ((seen,),) = con.execute("select min(item_id) from events where user_id = 1").fetchall()
    changed(run, "item_id", seen)


def item_twice(run: Run) -> None:
    second = files.read_parts(run, "recommended").filter((pl.col("user_id") == 1) & (pl.col("rank") == 2))
    changed(run, "item_id", second["item_id"].item())


def neighbour_twice(run: Run) -> None:
    row = {"channel": "swing", "item_id": 10, "neighbour_id": 20, "rank": 1, "score": 1.0}
    files.write_table(run, "item_similarity/swing", pl.DataFrame([row, row | {"rank": 2}]))


def unwatched_reason(run: Run) -> None:
    recommended = files.read_parts(run, "recommended").filter(pl.col("user_id") == 1)
    changed(run, "because_item_id", recommended["item_id"][1])


def unlike_reason(run: Run) -> None:
    """A watched film that shares no genre with the first one: those of every other film are the same."""
    first = files.read_parts(run, "recommended").filter(FIRST)["item_id"].item()
    with snapshot.connect(run) as con:
        seen = [item for (item,) in con.execute("select item_id from events where user_id = 1").fetchall()]
    changed(run, "because_item_id", next(item for item in seen if (item - first) // 10 % 2))


def community_twice(run: Run) -> None:
    row = {"item_id": 10, "community": 1, "centrality": 0.5}
    files.write_table(run, "item_communities/films", pl.DataFrame([row, row]))


def embedding_twice(side: str) -> Callable[[Run], None]:
    row = {"model": "m", f"{side}_id": 10, "vector": [0.5]}

    def write(run: Run) -> None:
        files.write_table(run, f"{side}_embeddings/m", pl.DataFrame([row, row]))

    return write


def point_twice(run: Run) -> None:
    row = {"release_id": run.id, "stage": "rank", "model": "m", "curve": "loss", "x": 1.0, "y": 0.5}
    files.write_table(run, "curves/m", pl.DataFrame([row, row]))


def unknown_release(run: Run) -> None:
    recommended = files.read_parts(run, "recommended")
    files.write_table(run, "recommended/00000", recommended.with_columns(release_id=pl.lit("nobody")))


BREAKS: dict[str, tuple[Callable[[Run], None], str]] = {
    "seen item": (seen_item, "no seen item"),
    "item twice": (item_twice, "key is unique"),
    "gap": (lambda run: changed(run, "rank", 99), "ranks are gapless from 1"),
    "missing user": (
        lambda run: without(run, "recommended/00000", pl.col("user_id") == 1),
        "every user is covered",
    ),
    "short list": (
        lambda run: without(run, "recommended/00000", (pl.col("user_id") == 1) & (pl.col("rank") == 5)),
        "every user is covered",
    ),
    "user vector twice": (embedding_twice("user"), "key is unique"),
    "item vector twice": (embedding_twice("item"), "key is unique"),
    "point of a curve twice": (point_twice, "key is unique"),
    "neighbour twice": (neighbour_twice, "no neighbour twice"),
    "community twice": (community_twice, "key is unique"),
    "unwatched reason": (unwatched_reason, "a reason holds"),
    "unlike reason": (unlike_reason, "a reason holds"),
    "unknown release": (unknown_release, "release is registered"),
    "no default list": (lambda run: without(run, "segments", pl.lit(True)), "default list exists"),
}
"""By what is wrong: how to break a run in this way, and the check that finds it."""


@pytest.mark.parametrize("wrong", BREAKS)
def test_a_release_that_breaks_a_check_is_never_published(home: Path, wrong: str) -> None:
    good, run = homes.publish(home), homes.begin(home)
    homes.compute(run)
    break_run, check = BREAKS[wrong]
    break_run(run)
    lifecycle.finish(run, {"n_events": 80})
    with pytest.raises(MatineeError, match=f"not published: '{check}'"):
        publish(run, 5, 10)
    assert serving.current_release(home) == good.id
    assert serving.kept_releases(home) == [good.id]
    assert [row["release_id"] for row in journal.releases(home)] == [good.id]
    assert leftovers(home) == []


def test_every_check_has_a_release_that_breaks_it() -> None:
    named = {name.removeprefix("checks/").replace("_", " ") for name in sql.names("checks")}
    assert {check for _, check in BREAKS.values()} == named


def leftovers(home: Path) -> list[str]:
    """Names of what is half-built in the serving folder."""
    return [name for name in os.listdir(home / "serving") if ".tmp" in name]


def test_a_user_with_few_unseen_films_gets_all_of_them(home: Path) -> None:
    homes.publish(home, top_n=19)
    short = ask(home, "select user_id, count(*) from recommendations group by 1 having count(*) < 19")
    for user_id, n in short:
        rated = ask(home, f"select n_ratings from user_features where user_id = {user_id}")[0][0]
        assert n == homes.N_ITEMS - rated
    assert short


def test_rollback_walks_back_through_what_was_current(home: Path) -> None:
    first, second, third = (homes.publish(home) for _ in range(3))
    assert roll_back(home) == second.id
    assert roll_back(home) == first.id
    with pytest.raises(MatineeError, match="no earlier release"):
        roll_back(home)
    assert roll_back(home, third.id) == third.id
    assert serving.current_release(home) == third.id
    with pytest.raises(MatineeError, match="kept are"):
        roll_back(home, "20000101-000000-0000")
    left_by_a_kill = third.id[:-1] + "9"
    shutil.copyfile(serving.file_of(home, third.id), serving.file_of(home, left_by_a_kill))
    with pytest.raises(MatineeError, match="never published"):
        roll_back(home, left_by_a_kill)


def test_after_a_rollback_the_next_release_goes_back_to_the_one_rolled_back_to(home: Path) -> None:
    first, _ = homes.publish(home), homes.publish(home)
    roll_back(home)
    homes.publish(home)
    assert roll_back(home) == first.id


def test_a_clock_that_jumps_back_leaves_ids_and_order_as_they_were(home: Path) -> None:
    first = homes.publish(home)
    earlier = first.created_at - timedelta(days=1)
    assert journal.next_moment(home, earlier) == first.created_at + timedelta(microseconds=1)
    later = first.created_at + timedelta(days=1)
    assert journal.next_moment(home, later) == later
    assert journal.next_moment(home.parent / "empty", earlier) == earlier


def test_a_run_that_began_before_a_rollback_does_not_publish(home: Path) -> None:
    first, _ = homes.publish(home), homes.publish(home)
    run = homes.begin(home)
    homes.compute(run)
    lifecycle.finish(run, {"n_events": 80})
    roll_back(home)
    with pytest.raises(MatineeError, match="rolled back"):
        publish(run, 5, 10)
    assert serving.current_release(home) == first.id


def test_a_run_that_waits_for_its_publication_outlives_that_of_another(home: Path) -> None:
    waiting = homes.begin(home)
    homes.compute(waiting)
    homes.finish(waiting)
    homes.publish(home, keep=1)
    publish(waiting, 5, 10)
    assert serving.current_release(home) == waiting.id


def test_retention_keeps_the_newest_the_current_one_and_their_runs(home: Path) -> None:
    published = [homes.publish(home, keep=3).id for _ in range(5)]
    assert serving.kept_releases(home) == sorted(published)[-3:]
    assert {folder.name for folder in (home / "runs").glob("[!.]*")} == set(published[-3:])
    listed = journal.releases(home)
    assert [row["release_id"] for row in listed] == published[::-1]
    assert [row["kept"] for row in listed] == [True, True, True, False, False]
    assert ask(home, "select count(*) from releases") == [(5,)]


def test_only_runs_that_others_go_on_from_stay_whole(home: Path) -> None:
    published = []
    for _ in range(4):
        run = homes.begin(home)
        homes.compute(run)
        files.write_arrays(run, "models/m", {"weight": np.zeros(100_000)})
        files.write_table(run, "metrics/m", METRICS.with_columns(release_id=pl.lit(run.id)))
        homes.finish(run)
        publish(run, 5, 10)
        published.append(run)
    for stripped in published[:2]:
        assert {entry.name for entry in stripped.folder.iterdir()} == {
            ".alive",
            "manifest.json",
            "metrics",
            "run.json",
        }
        assert Run.read(home, stripped.id) == stripped
        assert not is_whole(home, stripped.id)
    size = sum(file.stat().st_size for file in (home / "runs").rglob("*") if file.is_file())
    assert size < 2.5 * 800_000  # two models of four
    for whole in published[2:]:
        check_whole(whole)
        assert files.has_arrays(whole, "models/m")
    oldest = published[0]
    roll_back(home, oldest.id)
    assert ask(home, "select distinct release_id from recommendations") == [(oldest.id,)]
    with pytest.raises(MatineeError, match=f"{oldest.id} .*run `matinee nightly` first"):
        check_whole(oldest)
    assert journal.newest_full(home, published[-1].as_of) is None
    new = homes.publish(home)
    assert serving.current_release(home) == new.id
    assert journal.newest_full(home, published[-1].as_of) == new.id
    check_whole(new)
    assert {folder.name for folder in (home / "runs").glob("[!.]*")} == {new.id, *(r.id for r in published)}


METRICS = pl.DataFrame(
    {
        "stage": ["rank"],
        "model": ["oracle"],
        "protocol": ["daily"],
        "slice": ["all"],
        "metric": ["ndcg"],
        "k": [10],
        "value": [0.5],
        "n_users": [12],
    }
)


def test_the_parent_of_a_living_run_stays_whole(home: Path) -> None:
    parent = homes.publish(home)
    child = replace(parent, id="child", parent_id=parent.id)
    lifecycle.begin(child)
    for _ in range(3):
        homes.publish(home)
    check_whole(parent)
    lifecycle.abandon(child)
    homes.publish(home)
    assert not is_whole(home, parent.id)


def without_checksums(home: Path) -> None:
    """Make of a journal what an earlier version wrote."""
    file = home / "serving" / "journal.jsonl"
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    left = [{key: value for key, value in entry.items() if key != "checksum"} for entry in entries]
    file.write_text("".join(json.dumps(entry) + "\n" for entry in left))


def as_of_version_2(file: Path) -> None:
    """Make of a serving file what an earlier version wrote: fewer tables and columns, and primary keys."""
    with duckdb.connect(str(file)) as con:
        con.execute("alter table recommendations drop column propensity")
        con.execute("drop table experiments")
        con.execute("drop table lineage")
        con.execute(
            "create table lineage (release_id varchar not null, step varchar not null, "
            "inputs varchar[] not null, outputs varchar[] not null, rows bigint not null, "
            "seconds double not null, peak_memory_mb double not null, primary key (release_id, step))"
        )
        con.execute("insert into lineage select release_id, 'rank', [], [], 1, 2, 3 from releases")
        con.execute("drop table item_communities")
        con.execute("drop table questions")
        con.execute("drop table curves")
        con.execute(
            "create table curves (release_id varchar not null, stage varchar not null, "
            "model varchar not null, curve varchar not null, x double not null, y double not null, "
            "primary key (release_id, stage, model, curve, x))"
        )
        con.execute("update releases set schema_version = 2")


def test_releases_of_the_version_before_are_queried_gone_on_from_and_rolled_back_to(home: Path) -> None:
    old = homes.publish(home)
    as_of_version_2(serving.file_of(home, old.id))
    without_checksums(home)
    (step,) = queries.lineage(home)
    assert (step["step"], step["seconds"]) == ("rank", 2)
    run = replace(old, id=new_run_id(utc_now()), kind="incremental", parent_id=old.id, journal_length=1)
    lifecycle.begin(run)
    homes.compute(run)
    row = {"release_id": run.id, "step": "rank", "inputs": ["a"], "outputs": ["b"], "rows": 1}
    row |= {"seconds": 2.0, "peak_memory_mb": 3.0}
    files.write_table(run, "lineage/000", pl.DataFrame([row]))
    measured = row | {"step": "publish", "cpu_seconds": 1.5, "shards": 8, "workers": 2}
    files.write_table(run, "lineage/001", pl.DataFrame([measured]))
    homes.finish(run)
    publish(run, 5, 10)
    costs = "select step, cpu_seconds, shards, workers from lineage order by rowid"
    assert ask(home, costs) == [("rank", None, None, None), ("publish", 1.5, 8, 2)]
    assert ask(home, "select schema_version from releases where kind = 'incremental'") == [(SCHEMA_VERSION,)]
    assert ask(home, "from item_communities") == []
    assert ask(home, "select distinct propensity from recommendations") == [(1.0,)]
    record_published(home)
    (of_old, *_) = exposures.files(home, exposures.PUBLISHED)
    assert set(pl.read_parquet(of_old)["propensity"]) == {None}
    assert roll_back(home) == old.id
    assert queries.recommendations(home, 1, 5)
    assert len(queries.lineage(home)) == 1


def test_rows_in_shards_are_those_of_one_file(home: Path) -> None:
    whole, cut = homes.begin(home), homes.begin(home)
    vectors = pl.DataFrame({"model": ["m"] * 12, "user_id": range(1, 13), "vector": [[0.5]] * 12})
    published = []
    for run in (whole, cut):
        recommended = homes.compute(run).with_columns(release_id=pl.lit(whole.id))
        if run is cut:
            files.drop(run, "recommended")
            for number, of_shard in enumerate((pl.col("user_id") <= 5, pl.col("user_id") > 5)):
                files.write_table(run, f"recommended/{number:04d}", recommended.filter(of_shard))
                files.write_table(run, f"user_embeddings/m/{number:04d}", vectors.filter(of_shard))
        else:
            files.write_table(run, "recommended/00000", recommended)
            files.write_table(run, "user_embeddings/m", vectors)
        homes.finish(run)
        publish(run, 5, 10)
        tables = ("recommendations", "user_embeddings")
        published.append([ask(home, f"select * from {table} order by rowid") for table in tables])
    assert published[0] == published[1]
    keys = [row[:2] for row in published[0][0]]
    assert keys == sorted(keys)


def test_the_warm_start_is_the_newest_full_release_at_or_before_as_of(home: Path) -> None:
    early, late = homes.publish(home, datetime(2001, 1, 3)), homes.publish(home, datetime(2001, 2, 1))
    assert journal.newest_full(home, datetime(2001, 1, 2)) is None
    assert journal.newest_full(home, datetime(2001, 1, 20)) == early.id
    assert journal.newest_full(home, datetime(2001, 2, 1)) == late.id


def test_nobody_goes_on_from_a_release_that_was_rolled_back_from(home: Path) -> None:
    first, second, third = (homes.publish(home) for _ in range(3))
    assert journal.newest_full(home, third.as_of) == third.id
    roll_back(home)
    assert journal.newest_full(home, third.as_of) == second.id
    check_whole(second)
    roll_back(home, first.id)
    assert journal.never_left(home) == [first.id]
    roll_back(home, third.id)
    assert journal.never_left(home) == [first.id, third.id]
    assert journal.newest_full(home, third.as_of) == third.id


def test_a_torn_last_line_of_the_journal_never_happened(home: Path) -> None:
    first = homes.publish(home)
    file = home / "serving" / "journal.jsonl"
    with file.open("a") as stream:
        stream.write('{"action": "rollb')
    assert [entry["release_id"] for entry in journal.entries(home)] == [first.id]
    second = homes.publish(home)
    lines = file.read_text().splitlines()
    assert [json.loads(line)["release_id"] for line in lines] == [first.id, second.id]


KILLED_AFTER = {
    "build": "publication.build",
    "validate": "publication.validate",
    "make durable": "os.replace",  # killed before the move
    "move": "Staging.commit",
    "journal": "journal.append",
    "make current": "serving.make_current",
    "forget": "publication.forget",
}
"""Steps of a publication in their order, and the function that ends each."""

KILLED = """
import os, signal, sys
from pathlib import Path
from tests import home as homes
from warehouse.atomic import Staging
from warehouse.releases import journal, publication, serving

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

owner, name = sys.argv[2].split(".")
owner = globals()[owner]
real = getattr(owner, name)

def killed(*arguments):
    real(*arguments)
    kill()

def killed_before(old, new):
    kill() if new.parent.name == "serving" else real(old, new)

def killed_after_move(staging):
    real(staging)
    if list((home / "serving").glob("recs-*")) != before:
        kill()

home = Path(sys.argv[1])
before = list((home / "serving").glob("recs-*"))
setattr(owner, name, {"replace": killed_before, "commit": killed_after_move}.get(name, killed))
homes.publish(home)
"""


@pytest.mark.parametrize("step", KILLED_AFTER)
def test_a_publication_killed_anywhere_leaves_a_whole_release_and_a_rerun_heals(
    home: Path, step: str
) -> None:
    first = homes.publish(home)
    command = [sys.executable, "-c", KILLED, str(home), KILLED_AFTER[step]]
    assert subprocess.run(command, cwd=Path(__file__).parents[3]).returncode == -signal.SIGKILL
    steps = list(KILLED_AFTER)
    # It got as far as this step, and no further.
    assert bool(leftovers(home)) == (steps.index(step) < steps.index("move"))
    assert (len(serving.kept_releases(home)) == 2) == (steps.index(step) >= steps.index("move"))
    assert (len(journal.entries(home)) == 2) == (steps.index(step) >= steps.index("journal"))
    assert (serving.current_release(home) != first.id) == (steps.index(step) >= steps.index("make current"))
    assert ask(home, "select count(distinct user_id) from recommendations") == [(homes.N_USERS,)]
    last = homes.publish(home)
    assert serving.current_release(home) == last.id
    assert leftovers(home) == []
    unfinished = [f for f in (home / "runs").glob("[!.]*") if not (f / "manifest.json").exists()]
    assert unfinished == []


def test_readers_never_see_an_error_or_a_torn_release(home: Path) -> None:
    homes.publish(home)
    answers: list[str] = []
    problems: list[str] = []
    stop = threading.Event()

    def read() -> None:
        query = (
            "select count(*), count(distinct release_id), (select count(*) from users), max(release_id) "
            "from recommendations"
        )
        while not stop.is_set():
            done = subprocess.run(
                [sys.executable, "-c", READER, str(home), query], capture_output=True, text=True
            )
            if done.returncode:
                problems.append(done.stderr)
                continue
            *counts, release = json.loads(done.stdout)
            answers.append(release)
            if counts != [homes.N_USERS * 5, 1, homes.N_USERS]:
                problems.append(done.stdout)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    published = 0
    # Until the readers have met several releases, however slow the machine is.
    while published < 4 or (len(set(answers)) < 2 and not problems):
        homes.publish(home)
        roll_back(home)
        homes.publish(home)
        published += 2
    stop.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert len(set(answers)) >= 2


READER = """
import duckdb, json, sys
with duckdb.connect(sys.argv[1] + "/serving/current.duckdb", read_only=True) as con:
    print(json.dumps(con.execute(sys.argv[2]).fetchall()[0]))
"""


def test_a_full_disk_leaves_what_is_published(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, run = homes.publish(home), homes.begin(home)
    homes.compute(run)
    homes.finish(run)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        publish(run, 5, 10)
    assert serving.current_release(home) == first.id
    assert leftovers(home) == []


SLOW_TO_IMPORT = ("numpy", "polars", "pyarrow", "scipy", "numba", "filelock", "prefect", "torch")


def test_queries_import_nothing_slow(home: Path) -> None:
    """So that ``matinee recommend`` and ``matinee releases`` answer at once."""
    homes.publish(home)
    script = (
        "import sys; from pathlib import Path; from warehouse.releases import journal, queries\n"
        "home = Path(sys.argv[1])\n"
        "assert queries.recommendations(home, 1, 5) and journal.releases(home)\n"
        "print([name for name in sys.argv[2:] if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(home), *SLOW_TO_IMPORT]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert done.stdout == "[]\n"
