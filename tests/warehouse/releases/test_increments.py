"""Incremental runs: who wins a race, which rows are carried over, and that no file is written twice."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests import home as homes
from warehouse.errors import LostRace, MatineeError
from warehouse.releases import journal, serving
from warehouse.releases.publication import publish
from warehouse.releases.rollback import roll_back
from warehouse.runs import feature_tables, files, lifecycle
from warehouse.runs.run import Run, new_run_id, utc_now


def incremental(home: Path, parent: Run) -> Run:
    """A run that refreshed user 1's list, the others' carried over; not published."""
    now = utc_now()
    run = replace(
        parent,
        id=new_run_id(now),
        kind="incremental",
        parent_id=parent.id,
        created_at=now,
        journal_length=len(journal.entries(home)),
    )
    lifecycle.begin(run)
    feature_tables.write(run, homes.FEATURES)
    theirs = files.read_parts(parent, "recommended")
    mine = theirs.filter(pl.col("user_id") == 1).with_columns(
        score=pl.lit(7.0), release_id=pl.lit(run.id), item_id=pl.col("item_id").reverse()
    )
    whole = pl.concat([mine, theirs.filter(pl.col("user_id") != 1)])
    files.write_table(run, "recommended/00000", whole)
    files.link(parent, run, "segments.parquet")
    homes.finish(run)
    return run


GROWING = {
    "metrics": pl.DataFrame(
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
    ),
    "curves": pl.DataFrame(
        {"stage": ["rank"], "model": ["oracle"], "curve": ["loss"], "x": [1.0], "y": [0.5]}
    ),
}
"""Rows of the tables to which an incremental release adds, without their release_id."""


def write_growing(run: Run) -> None:
    for table, rows in GROWING.items():
        files.write_table(run, f"{table}/oracle", rows.with_columns(release_id=pl.lit(run.id)))


def by_user(home: Path) -> dict[int, str]:
    query = "select distinct user_id, release_id from recommendations"
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        return dict(con.execute(query).fetchall())


def test_carried_rows_keep_the_release_that_computed_them(home: Path) -> None:
    parent = homes.publish(home)
    run = incremental(home, parent)
    publish(run, 5, 10)
    assert by_user(home) == {user: run.id if user == 1 else parent.id for user in range(1, 13)}


def test_an_incremental_run_that_lost_the_race_publishes_nothing(home: Path) -> None:
    parent = homes.publish(home)
    late, early = incremental(home, parent), incremental(home, parent)
    publish(early, 5, 10)
    with pytest.raises(LostRace, match=early.id):
        publish(late, 5, 10)
    assert serving.current_release(home) == early.id


def test_an_incremental_run_whose_parent_was_replaced_while_it_began_lost_the_race_too(home: Path) -> None:
    parent = homes.publish(home)
    newer = homes.publish(home)
    late = incremental(home, parent)  # its journal has the newer release already
    with pytest.raises(LostRace, match=newer.id):
        publish(late, 5, 10)
    assert serving.current_release(home) == newer.id


def test_a_full_run_keeps_what_incremental_ones_refreshed_meanwhile(home: Path) -> None:
    parent = homes.publish(home)
    nightly = homes.begin(home)
    homes.compute(nightly)
    first = incremental(home, parent)
    publish(first, 5, 10)
    second = incremental(home, first)
    publish(second, 5, 10)
    homes.finish(nightly)
    publish(nightly, 5, 10)
    assert by_user(home) == {user: second.id if user == 1 else nightly.id for user in range(1, 13)}


def test_a_full_run_takes_no_lists_by_other_settings_or_of_later_days(home: Path) -> None:
    parent = homes.publish(home)
    changed, backdated = homes.begin(home), homes.begin(home, homes.START + timedelta(hours=70))
    changed = replace(changed, config={"top_n": 5, "seed": 1})
    for run in (changed, backdated):
        homes.compute(run)
    publish(incremental(home, parent), 5, 10)
    for run in (changed, backdated):
        homes.finish(run)
        publish(run, 5, 10)
        assert set(by_user(home).values()) == {run.id}


def test_a_full_run_takes_no_lists_that_knew_less_than_it(home: Path) -> None:
    parent = homes.publish(home)
    nightly = replace(homes.begin(home), block_list=("000001-asked-meanwhile.parquet",))
    homes.compute(nightly)
    publish(incremental(home, parent), 5, 10)
    homes.finish(nightly)
    publish(nightly, 5, 10)
    assert set(by_user(home).values()) == {nightly.id}


def test_a_full_run_publishes_where_what_was_refreshed_meanwhile_is_no_longer_kept(home: Path) -> None:
    parent = homes.publish(home)
    nightly = homes.begin(home)
    homes.compute(nightly)
    publish(incremental(home, parent), 5, 10)
    homes.publish(home, keep=1)
    homes.finish(nightly)
    publish(nightly, 5, 10)
    assert set(by_user(home).values()) == {nightly.id}


def test_a_full_run_that_began_later_owes_nothing_to_them(home: Path) -> None:
    parent = homes.publish(home)
    publish(incremental(home, parent), 5, 10)
    nightly = homes.publish(home)
    assert set(by_user(home).values()) == {nightly.id}


def test_a_full_run_aborts_after_a_rollback(home: Path) -> None:
    homes.publish(home)
    homes.publish(home)
    nightly = homes.begin(home)
    homes.compute(nightly)
    back = roll_back(home)
    homes.finish(nightly)
    with pytest.raises(MatineeError, match="rolled back"):
        publish(nightly, 5, 10)
    assert serving.current_release(home) == back


def test_an_incremental_release_has_the_tables_of_its_parent_and_its_own(home: Path) -> None:
    parent = homes.begin(home)
    homes.compute(parent)
    similarity = {"channel": ["oracle"], "item_id": [1], "neighbour_id": [2], "rank": [1], "score": [0.5]}
    files.write_table(parent, "item_similarity/oracle", pl.DataFrame(similarity))
    vectors = pl.DataFrame({"model": ["oracle"], "item_id": [1], "vector": [[1.0]]})
    for table in GROWING:
        files.write_table(
            parent, f"{table}/oracle", GROWING[table].with_columns(release_id=pl.lit(parent.id))
        )
    files.write_table(parent, "item_embeddings/oracle", vectors)
    homes.finish(parent)
    publish(parent, 5, 10)
    run = incremental(home, parent)
    files.write_table(run, "item_embeddings/oracle", vectors.with_columns(vector=pl.lit([2.0])))
    write_growing(run)
    rows = publish(run, 5, 10)
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        assert con.execute("from item_similarity").fetchall() == [("oracle", 1, 2, 1, 0.5)]
        assert con.execute("from item_embeddings").fetchall() == [("oracle", 1, [2.0])]
        for table in GROWING:
            found = con.execute(f"select release_id from {table} order by release_id").fetchall()
            assert found == [(parent.id,), (run.id,)]
        assert con.execute("select curve, x, y from curves").fetchall() == [("loss", 1, 0.5)] * 2
        sizes = con.execute("select table_name, estimated_size from duckdb_tables()").fetchall()
        assert rows == dict(sizes)
        constraints = "select count(*) from duckdb_constraints() where constraint_type = 'PRIMARY KEY'"
        ((keys,),) = con.execute(constraints).fetchall()
    with duckdb.connect(str(serving.file_of(home, parent.id)), read_only=True) as con:
        assert con.execute("select vector from item_embeddings").fetchall() == [([1.0],)]
        assert con.execute(constraints).fetchall() == [(keys,)]
