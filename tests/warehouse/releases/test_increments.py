"""Incremental runs: who wins a race, which rows are carried over, and that no file is written twice."""

import os
import time
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from tests import home as homes
from warehouse.errors import LostRace, MatineeError
from warehouse.releases import serving
from warehouse.runs import checkpoints, snapshot
from warehouse.runs import run as runs
from warehouse.runs.run import Run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return homes.write_home(tmp_path)


def incremental(home: Path, parent: Run) -> Run:
    """A run that refreshed user 1's list, the others' carried over; not published."""
    now = runs.utc_now()
    run = replace(
        parent,
        id=runs.new_id(now),
        kind="incremental",
        parent_id=parent.id,
        created_at=now,
        journal_length=len(serving.journal(home)),
    )
    runs.begin(run)
    snapshot.write_tables(run, homes.FEATURES)
    theirs = snapshot.read_table(parent, "recommended")
    mine = theirs.filter(pl.col("user_id") == 1).with_columns(
        score=pl.lit(7.0), release_id=pl.lit(run.id), item_id=pl.col("item_id").reverse()
    )
    whole = pl.concat([mine, theirs.filter(pl.col("user_id") != 1)])
    snapshot.write_table(run, "recommended", whole)
    runs.share(parent, run, "segments.parquet")
    homes.finish(run)
    return run


def by_user(home: Path) -> dict[int, str]:
    query = "select distinct user_id, release_id from recommendations"
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        return dict(con.execute(query).fetchall())


def test_carried_rows_keep_the_release_that_computed_them(home: Path) -> None:
    parent = homes.publish(home)
    run = incremental(home, parent)
    serving.publish(run, 5, 10)
    assert by_user(home) == {user: run.id if user == 1 else parent.id for user in range(1, 13)}


def test_a_run_goes_on_from_its_parent_or_from_none(home: Path) -> None:
    parent = homes.publish(home)
    assert runs.parent(incremental(home, parent)) == parent
    with pytest.raises(MatineeError, match="from no other"):
        runs.parent(parent)
    with pytest.raises(FileNotFoundError):
        runs.parent(replace(parent, parent_id="gone"))


def test_an_incremental_run_that_lost_the_race_publishes_nothing(home: Path) -> None:
    parent = homes.publish(home)
    late, early = incremental(home, parent), incremental(home, parent)
    serving.publish(early, 5, 10)
    with pytest.raises(LostRace, match=early.id):
        serving.publish(late, 5, 10)
    assert serving.current_release(home) == early.id


def test_a_full_run_keeps_what_incremental_ones_refreshed_meanwhile(home: Path) -> None:
    parent = homes.publish(home)
    nightly = homes.begin(home)
    homes.compute(nightly)
    first = incremental(home, parent)
    serving.publish(first, 5, 10)
    second = incremental(home, first)
    serving.publish(second, 5, 10)
    homes.finish(nightly)
    serving.publish(nightly, 5, 10)
    assert by_user(home) == {user: second.id if user == 1 else nightly.id for user in range(1, 13)}


def test_a_full_run_that_began_later_owes_nothing_to_them(home: Path) -> None:
    parent = homes.publish(home)
    serving.publish(incremental(home, parent), 5, 10)
    nightly = homes.publish(home)
    assert set(by_user(home).values()) == {nightly.id}


def test_a_full_run_aborts_after_a_rollback(home: Path) -> None:
    homes.publish(home)
    homes.publish(home)
    nightly = homes.begin(home)
    homes.compute(nightly)
    back = serving.rollback(home)
    homes.finish(nightly)
    with pytest.raises(MatineeError, match="rolled back"):
        serving.publish(nightly, 5, 10)
    assert serving.current_release(home) == back


def test_a_shared_file_is_replaced_not_written_into(home: Path) -> None:
    parent, run = homes.begin(home), homes.begin(home)
    snapshot.write_arrays(parent, "models/m", {"weight": np.zeros(3)})
    snapshot.write_table(parent, "metrics/m", pl.DataFrame({"value": [0.0]}))
    for pattern in ("models/*.npz", "metrics/*"):
        runs.share(parent, run, pattern)
    assert snapshot.read_arrays(run, "models/m")["weight"].tolist() == [0, 0, 0]
    snapshot.write_arrays(run, "models/m", {"weight": np.ones(3)})
    snapshot.write_table(run, "metrics/m", pl.DataFrame({"value": [1.0]}))
    runs.share(parent, run, "models/*.npz")  # what is there stays
    assert snapshot.read_arrays(parent, "models/m")["weight"].tolist() == [0, 0, 0]
    assert snapshot.read_arrays(run, "models/m")["weight"].tolist() == [1, 1, 1]
    assert snapshot.read_table(parent, "metrics/m")["value"].to_list() == [0.0]


def test_a_run_is_read_back_as_it_began(home: Path) -> None:
    run = homes.publish(home)
    assert runs.read(home, run.id) == run


def test_missing_arrays_name_the_fix(home: Path) -> None:
    with pytest.raises(MatineeError, match="run `matinee nightly`"):
        snapshot.read_arrays(homes.begin(home), "models/none")


def test_checkpoints_by_key(tmp_path: Path) -> None:
    assert checkpoints.read(tmp_path, "a") is None
    for number in range(3):
        checkpoints.write(tmp_path, "a", {"epoch": np.array(number)})
    assert checkpoints.read(tmp_path, "b") is None
    found = checkpoints.read(tmp_path, "a")
    assert found is not None
    assert int(found["epoch"]) == 2
    checkpoints.write(tmp_path, "b", {"epoch": np.array(7)})  # of a training that goes on
    for _ in range(2):
        checkpoints.forget(tmp_path, "a")
        assert checkpoints.read(tmp_path, "a") is None
    assert checkpoints.read(tmp_path, "b") is not None


def test_checkpoints_of_killed_trainings_go_after_a_week(tmp_path: Path) -> None:
    folder, now = tmp_path / "checkpoints", time.time()
    folder.mkdir()
    for name, days in (("old.npz", 8), (".old.npz.tmp", 8), ("new.npz", 6), (".new.npz.tmp", 6)):
        (folder / name).touch()
        os.utime(folder / name, (now, now - days * 86_400))
    checkpoints.forget(tmp_path, "another")
    assert {file.name for file in folder.iterdir()} == {"new.npz", ".new.npz.tmp"}


def test_a_neighbour_listed_twice_is_never_published(home: Path) -> None:
    good, run = homes.publish(home), homes.begin(home)
    homes.compute(run)
    row = {"channel": "swing", "item_id": 10, "neighbour_id": 20, "rank": 1, "score": 1.0}
    snapshot.write_table(run, "item_similarity/swing", pl.DataFrame([row, row | {"rank": 2}]))
    runs.finish(run, {"n_events": 80})
    with pytest.raises(MatineeError, match="no neighbour twice"):
        serving.publish(run, 5, 10)
    assert serving.current_release(home) == good.id


def test_an_incremental_release_has_the_tables_of_its_parent_and_its_own(home: Path) -> None:
    parent = homes.begin(home)
    homes.compute(parent)
    similarity = {"channel": ["oracle"], "item_id": [1], "neighbour_id": [2], "rank": [1], "score": [0.5]}
    snapshot.write_table(parent, "item_similarity/oracle", pl.DataFrame(similarity))
    vectors = pl.DataFrame({"model": ["oracle"], "item_id": [1], "vector": [[1.0]]})
    snapshot.write_table(parent, "item_embeddings/oracle", vectors)
    homes.finish(parent)
    serving.publish(parent, 5, 10)
    run = incremental(home, parent)
    snapshot.write_table(run, "item_embeddings/oracle", vectors.with_columns(vector=pl.lit([2.0])))
    rows = serving.publish(run, 5, 10)
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        assert con.execute("from item_similarity").fetchall() == [("oracle", 1, 2, 1, 0.5)]
        assert con.execute("from item_embeddings").fetchall() == [("oracle", 1, [2.0])]
        sizes = con.execute("select table_name, estimated_size from duckdb_tables()").fetchall()
        assert rows == dict(sizes)
        constraints = "select count(*) from duckdb_constraints() where constraint_type = 'PRIMARY KEY'"
        ((keys,),) = con.execute(constraints).fetchall()
    with duckdb.connect(str(serving.serving_file(home, parent.id)), read_only=True) as con:
        assert con.execute("select vector from item_embeddings").fetchall() == [([1.0],)]
        assert con.execute(constraints).fetchall() == [(keys,)]
