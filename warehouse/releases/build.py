"""The serving file of a release, built from the files of its run."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb

from warehouse import sql
from warehouse.errors import MatineeError
from warehouse.releases import journal, serving
from warehouse.releases.checks import Check
from warehouse.releases.checks import table as table_of
from warehouse.runs import feature_tables, files, snapshot
from warehouse.runs.run import Json, Run, without_operation

SCHEMA_VERSION = 6
"""Raised whenever a serving table changes its columns."""

STORAGE_VERSION = "v1.2.0"
"""The oldest DuckDB file format that has all we need: clients from 1.2 on open the files."""

SCRIPTED = (
    "items",
    "users",
    "user_features",
    "item_features",
    "default_recommendations",
    "recommendations",
    "releases",
    "experiments",
)
"""Tables with a script of their own, ``warehouse/sql/serving/TABLE.sql``."""

OF_FULL_RUNS = ("item_similarity", "item_communities", "questions")
"""Tables that an incremental release takes from its parent as they are: most of a file."""

OF_USERS = ("recommendations", "user_embeddings")
"""Tables of which an incremental release replaces the rows of the users that it refreshes."""

GROWING = ("metrics", "curves", "checks")
"""Tables that an incremental release adds to: those of the ranker are measured by full runs alone."""

COLLECTED = (*OF_FULL_RUNS, "metrics", "curves", "item_embeddings", "user_embeddings", "lineage")
"""Tables whose rows are those of the run's files ``TABLE/*.parquet`` and ``TABLE/*/*.parquet``."""


def build(run: Run, file: Path, meanwhile: list[Json], top_n: int) -> dict[str, int]:
    """Write the serving file of a run; returns its rows by table.

    ``meanwhile`` has the entries of the journal since the run began.
    """
    incremental = run.kind == "incremental"
    if incremental:
        shutil.copyfile(serving.fetched(run.home, run.parent().id), file)
    with sql.bounded(run.file(".duckdb"), str(file), storage_compatibility_version=STORAGE_VERSION) as con:
        if incremental:
            _clear(con)
        carried = _carried(run, meanwhile)
        newer = _attach_newer(con, run, carried)
        con.begin()
        con.execute(sql.load("serving/schema"))
        _set_variables(con, run, carried, top_n)
        if incremental:
            _remove_replaced(con, run)
        for table in SCRIPTED:
            script = sql.load(f"serving/{table}")
            con.execute(script.format(newer=newer) if table == "recommendations" else script)
        for table in COLLECTED:
            if not (incremental and table in OF_FULL_RUNS):
                _collect(con, run, table)
        for script in ("serving/comments", "serving/macros"):
            con.execute(sql.load(script))
        if files.has_table(run, feature_tables.MEANINGS):  # a held run of an earlier version has none
            for table, column, text in files.read_table(run, feature_tables.MEANINGS).iter_rows():
                con.execute(sql.comment(table, column, text))
        con.commit()
        con.execute("checkpoint")
        return {table: sql.count(con, table) for table in sorted((*SCRIPTED, *COLLECTED, "checks"))}


def add_checks(run: Run, file: Path, checks: Sequence[Check]) -> int:
    """Add the checks of a run to its closed serving file; returns how many there are."""
    frame = table_of(checks)
    with sql.bounded(run.file(".duckdb"), str(file), storage_compatibility_version=STORAGE_VERSION) as con:
        sql.set_variables(con, release_id=run.id)
        con.register("new_checks", frame)
        con.execute(sql.load("serving/checks"))
        con.execute("checkpoint")
    return frame.height


def release_row(run: Run) -> Json:
    """The row of the table ``releases`` for a finished run."""
    return {
        "release_id": run.id,
        "kind": run.kind,
        "parent_id": run.parent_id,
        "as_of": run.as_of.isoformat(),
        "created_at": run.created_at.isoformat(),
        "n_events": run.manifest()["n_events"],
        "config": json.dumps(run.config, sort_keys=True),
        "code_version": run.code_version,
        "source": run.source,
        "schema_version": SCHEMA_VERSION,
    }


def _clear(con: duckdb.DuckDBPyConnection) -> None:
    """Drop the tables of the parent that are built anew."""
    for table in sql.tables(con):
        if table not in (*OF_FULL_RUNS, *OF_USERS, *GROWING):
            sql.drop(con, table)
    # Only now is their space free for what comes: else the file would grow by half.
    con.execute("checkpoint")


def _remove_replaced(con: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Remove the parent's rows that the run has computed anew; no other row of theirs is touched."""
    con.execute(sql.load("serving/replaced_lists"))
    vectors = _files_of(run, "user_embeddings")
    if vectors:
        sql.set_variables(con, files=vectors)
        con.execute(sql.load("serving/replaced_vectors"))


def _attach_newer(con: duckdb.DuckDBPyConnection, run: Run, carried: list[str]) -> str:
    """The table of the lists that a full run takes over from incremental releases.

    The newest of them holds the rows of all: each keeps what the one before it computed. Retention may have
    removed them since; then, or without any, the table is empty.
    """
    stored = serving.kept_releases(run.home)
    still_here = [release for release in carried if release in stored]
    if not still_here:
        return "(from recommendations limit 0)"
    sql.attach(con, serving.fetched(run.home, still_here[-1]), "newer")
    return "newer.recommendations"


def _carried(run: Run, meanwhile: list[Json]) -> list[str]:
    """The incremental releases whose lists are as good as the run's own, but newer.

    None are where the run is of an earlier day, which must not know what came later. Those by other settings
    are made anew by the next incremental run, those that knew less than the run by the run itself.
    """
    wanted = without_operation(run.config)
    alike = [
        entry["release_id"]
        for entry in meanwhile
        if entry.get("kind") == "incremental"
        and without_operation(json.loads(entry.get("config", "{}"))) == wanted
        and _knows_all(run, entry["release_id"])
    ]
    return [] if alike and snapshot.is_backdated(run) else alike


def _knows_all(run: Run, release: str) -> bool:
    """Whether the run of another release has read all that this one has."""
    try:
        other = Run.read(run.home, release)
    except MatineeError:  # retention was there
        return False
    logs = [
        (run.batches, other.batches),
        (run.block_list, other.block_list),
        (run.exposures, other.exposures),
    ]
    return other.as_of >= run.as_of and all(set(own) <= set(theirs) for own, theirs in logs)


def _set_variables(con: duckdb.DuckDBPyConnection, run: Run, carried: list[str], top_n: int) -> None:
    names = ("items", "users", "user_features", "item_features", "segments")
    single = {f"{name}_file": str(run.file(f"{name}.parquet")) for name in names}
    sql.set_variables(
        con,
        **single,
        recommended_files=files.parts(run, "recommended"),
        carried_releases=carried,
        top_n=top_n,
        release_id=run.id,
        releases=json.dumps([*journal.publications(run.home), release_row(run)]),
    )


def _collect(con: duckdb.DuckDBPyConnection, run: Run, table: str) -> None:
    """Insert the rows of the run's files of a table."""
    found = _files_of(run, table)
    if found:
        sql.set_variables(con, files=found)
        con.execute(sql.load("serving/collect").format(table=table))


def _files_of(run: Run, table: str) -> list[str]:
    return sorted(str(file) for file in run.folder.glob(f"{table}/**/*.parquet"))
