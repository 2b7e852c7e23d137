"""Copies of a release for other programs: Parquet files in a folder, tables in PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb

from warehouse import sql
from warehouse.atomic import Staging
from warehouse.errors import MatineeError

SCHEMA = "matinee"
"""Schema of the tables in PostgreSQL."""

BLOCK = 100_000
"""Rows that are in memory at a time on their way to PostgreSQL."""

KEYS = {
    "recommendations": ("user_id", "rank"),
    "default_recommendations": ("segment", "rank"),
    "items": ("item_id",),
    "users": ("user_id",),
    "user_features": ("user_id",),
    "item_features": ("item_id",),
    "item_similarity": ("item_id", "channel", "rank"),
}
"""Columns by which tables are asked, for an index in PostgreSQL."""


def to_folder(release: Path, folder: Path) -> dict[str, int]:
    """Write each table of the file of a release to ``TABLE.parquet``; returns rows by table.

    All files are written before the first one takes the place of an earlier one; a reader that has one open
    keeps it.

    Raises:
        MatineeError: the folder cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise MatineeError(f"{folder} is a file: name a folder, or postgresql://USER@HOST/DATABASE")
    with duckdb.connect(str(release), read_only=True) as con, Staging() as staging:
        tables = sql.tables(con)
        for table in tables:
            sql.copy(con, table, staging.path(folder / f"{table}.parquet"))
        staging.commit()
        return {table: sql.count(con, table) for table in tables}


def to_postgresql(release: Path, url: str) -> dict[str, int]:
    """Replace the rows of the tables in the schema ``matinee`` of a database, in one transaction.

    Who reads meanwhile sees the rows of before, and waits for nobody. Tables stay the same ones, with their
    grants, views and indexes, unless their columns have changed. Returns rows by table.

    Raises:
        MatineeError: the database cannot be used.
    """
    with (
        duckdb.connect(str(release), read_only=True) as con,
        _connected(url) as database,
        database.cursor() as cursor,
    ):
        tables = sql.tables(con)
        cursor.execute(f"create schema if not exists {SCHEMA}")
        for table in tables:
            _replace(con, cursor, table)
        database.commit()
        return {table: sql.count(con, table) for table in tables}


def _replace(con: duckdb.DuckDBPyConnection, cursor: Any, table: str) -> None:
    """Put the rows of a table in the place of those that are there."""
    name = f"{SCHEMA}.{sql.quoted(table)}"
    columns = con.table(table).columns
    cursor.execute(sql.load("export/columns"), (SCHEMA, table))
    there = [row[0] for row in cursor.fetchall()]
    is_new = there != columns
    if is_new:
        cursor.execute(f"drop table if exists {name}")
    else:
        cursor.execute(f"delete from {name}")
    rows = con.table(table).to_arrow_reader(BLOCK)
    cursor.adbc_ingest(table, rows, mode="create" if is_new else "append", db_schema_name=SCHEMA)
    if is_new:
        if key := KEYS.get(table):
            cursor.execute(f"create index on {name} ({', '.join(map(sql.quoted, key))})")
        _comment(con, cursor, table)


def _comment(con: duckdb.DuckDBPyConnection, cursor: Any, table: str) -> None:
    """Say there too what the table and its columns mean."""
    con.execute(sql.load("export/comments"), {"table": table})
    for column, text in con.fetchall():
        what = "table" if column is None else "column"
        path = [SCHEMA, table] if column is None else [SCHEMA, table, column]
        cursor.execute(f"comment on {what} {'.'.join(map(sql.quoted, path))} is {sql.literal(text)}")


@contextmanager
def _connected(url: str) -> Iterator[Any]:
    """A connection to a database; whatever it refuses is one line."""
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise MatineeError(
            "PostgreSQL needs a driver of its own: python3 -m pip install 'matinee[postgres]'"
        ) from None
    try:
        with dbapi.connect(url) as database:
            yield database
    except dbapi.Error as error:
        # Without the password that the URL may have.
        parts = urlsplit(url)
        reason = " ".join(str(error).split())
        raise MatineeError(f"{parts.scheme}://{parts.hostname or ''}{parts.path}: {reason}") from None
