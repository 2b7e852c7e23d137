"""All SQL of the project, one statement or one short script a file.

Statements are a matter of files; here is only what is made of identifiers, variables and paths.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb

MEMORY = "512MB"
"""Memory of a database while it works on a whole log; what goes beyond is spilled to the disk."""


def bounded(folder: Path, database: str = ":memory:", **config: Any) -> duckdb.DuckDBPyConnection:
    """A database of bounded memory, times in UTC, that spills into a folder for as long as it is open."""
    limits = {"memory_limit": MEMORY, "temp_directory": str(folder)}
    con = duckdb.connect(database, config=limits | config)
    con.execute("set timezone = 'UTC'")
    return con


def load(name: str) -> str:
    """The text of ``warehouse/sql/NAME.sql``."""
    return (files("warehouse.sql") / f"{name}.sql").read_text(encoding="utf-8")


def names(folder: str) -> list[str]:
    """The names of all files in a folder of SQL, sorted, ready for ``load``."""
    found = (file.name for file in (files("warehouse.sql") / folder).iterdir())
    return sorted(f"{folder}/{name.removesuffix('.sql')}" for name in found if name.endswith(".sql"))


def set_variables(con: duckdb.DuckDBPyConnection, **values: Any) -> None:
    """Set what the SQL reads by ``getvariable``."""
    for name, value in values.items():
        con.execute(f"set variable {name} = $value", {"value": value})


def quoted(name: str) -> str:
    """A name as SQL has it, whatever is in it: of a table, a column, a schema."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL has it, where no parameter can stand."""
    return "'" + text.replace("'", "''") + "'"


def comment(table: str, column: str, text: str) -> str:
    """The statement that says what a column means."""
    return f"comment on column {quoted(table)}.{quoted(column)} is {literal(text)}"


def attach(con: duckdb.DuckDBPyConnection, file: Path, name: str) -> None:
    """Attach a database file, read only."""
    con.execute(f"attach $file as {name} (read_only)", {"file": str(file)})


def tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The names of all tables, sorted."""
    return [name for (name,) in con.execute(load("tables")).fetchall()]


def drop(con: duckdb.DuckDBPyConnection, table: str) -> None:
    """Drop a table."""
    con.execute(f"drop table {table}")


def count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    """The rows of a table."""
    return int(con.table(table).count("*").fetchall()[0][0])


def copy(con: duckdb.DuckDBPyConnection, table: str, file: Path) -> None:
    """Write a table to a Parquet file."""
    con.execute(f"copy {table} to $file (format parquet, compression zstd)", {"file": str(file)})
