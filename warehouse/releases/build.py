"""The serving file of a release, built from the files of its run."""

import json
import shutil
from pathlib import Path

import duckdb

from warehouse import sql
from warehouse.releases import journal, serving
from warehouse.runs import files, lifecycle
from warehouse.runs.run import Json, Run, is_whole

SCHEMA_VERSION = 3
"""Raised whenever a serving table changes its columns."""

STORAGE_VERSION = "v1.2.0"
"""The oldest DuckDB file format that has all we need: clients from 1.2 on open the files."""

SCRIPTED = (
    "items",
    "users",
    "user_features",
    "item_features",
    "recommendations",
    "default_recommendations",
    "releases",
)
"""Tables with a script of their own, ``warehouse/sql/serving/TABLE.sql``."""

OF_FULL_RUNS = ("item_similarity",)
"""Tables that an incremental release takes from its parent as they are: most of a file."""

GROWING = ("metrics", "curves")
"""Tables that an incremental release adds to: those of the ranker are measured by full runs alone."""

COLLECTED = (*OF_FULL_RUNS, *GROWING, "item_embeddings", "user_embeddings", "lineage")
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
        con.begin()
        con.execute(sql.load("serving/schema"))
        _set_variables(con, run, meanwhile, top_n)
        for table in SCRIPTED:
            con.execute(sql.load(f"serving/{table}"))
        for table in COLLECTED:
            if not (incremental and table in OF_FULL_RUNS):
                _collect(con, run, table)
        con.commit()
        con.execute("checkpoint")
        return {table: sql.count(con, table) for table in sorted((*SCRIPTED, *COLLECTED))}


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
        if table not in (*OF_FULL_RUNS, *GROWING):
            sql.drop(con, table)
    # Only now is their space free for what comes: else the file would grow by half.
    con.execute("checkpoint")


def _set_variables(con: duckdb.DuckDBPyConnection, run: Run, meanwhile: list[Json], top_n: int) -> None:
    names = ("items", "users", "user_features", "item_features", "segments")
    single = {f"{name}_file": str(run.file(f"{name}.parquet")) for name in names}
    # The newest of the incremental releases in between holds the rows of all of them: each carries over
    # what the one before it computed. Retention may have removed them since.
    incremental = [entry["release_id"] for entry in meanwhile if entry["kind"] == "incremental"]
    still_here = [release for release in incremental if is_whole(run.home, release)]
    source = Run.read(run.home, still_here[-1]) if still_here else run
    lifecycle.fetch(run.home, source.id)
    sql.set_variables(
        con,
        **single,
        recommended_files=files.parts(run, "recommended"),
        carried_files=files.parts(source, "recommended"),
        carried_releases=incremental,
        top_n=top_n,
        releases=json.dumps([*journal.publications(run.home), release_row(run)]),
    )


def _collect(con: duckdb.DuckDBPyConnection, run: Run, table: str) -> None:
    """Insert the rows of the run's files of a table."""
    found = sorted(str(file) for file in run.folder.glob(f"{table}/**/*.parquet"))
    if found:
        sql.set_variables(con, files=found)
        con.execute(sql.load("serving/collect").format(table=table))
