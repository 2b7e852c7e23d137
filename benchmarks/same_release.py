"""Two releases, table by table: which rows are in one and not in the other.

    python -m benchmarks.same_release BEFORE.duckdb AFTER.duckdb

The proof that a change of the code changed nothing: the release of the same log, configuration and seed,
before and after. What differs from run to run is left out: ids and times of runs, seconds, memory, versions.
Exits with 1 if rows differ.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

VOLATILE = ("release_id", "parent_id", "created_at", "seconds", "peak_memory_mb", "code_version", "config")
"""Columns that differ from run to run."""

UNCOMPARED = ("checks", "lineage", "releases")
"""Tables about the run and not about its result."""


@dataclass(frozen=True)
class Difference:
    """Rows of one table in two releases."""

    table: str
    before: int
    after: int
    lost: int
    """Rows that only the first has."""
    gained: int
    """Rows that only the second has."""


def differences(before: Path, after: Path) -> list[Difference]:
    """Differences of every table that either release has; a table that one lacks has no rows there."""
    with duckdb.connect() as con:
        for name, file in (("before", before), ("after", after)):
            path = str(file).replace("'", "''")
            con.execute(f"attach '{path}' as {name} (read_only)")
        columns = {name: _columns(con, name) for name in ("before", "after")}
        tables = sorted({*columns["before"], *columns["after"]} - set(UNCOMPARED))
        return [_difference(con, table, columns) for table in tables]


def _columns(con: duckdb.DuckDBPyConnection, database: str) -> dict[str, list[str]]:
    query = "select table_name, list(column_name) from duckdb_columns() where database_name = $1 group by 1"
    return dict(con.execute(query, [database]).fetchall())


def _difference(
    con: duckdb.DuckDBPyConnection, table: str, columns: dict[str, dict[str, list[str]]]
) -> Difference:
    left, right = (columns[name].get(table, []) for name in ("before", "after"))
    if not left or not right:
        counts = [_count(con, f"{name}.{table}") if table in columns[name] else 0 for name in columns]
        return Difference(table, counts[0], counts[1], counts[0], counts[1])
    shared = ", ".join(f'"{name}"' for name in left if name in right and name not in VOLATILE)
    one, two = f"select {shared} from before.{table}", f"select {shared} from after.{table}"
    lost, gained = (_count(con, f"({a} except all {b})") for a, b in ((one, two), (two, one)))
    return Difference(table, _count(con, f"before.{table}"), _count(con, f"after.{table}"), lost, gained)


def _count(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    return int(con.execute(f"select count(*) from {relation}").fetchall()[0][0])


def print_differences(found: Sequence[Difference]) -> None:
    """Print a line for each table."""
    print(f"{'table':26}{'rows before':>14}{'after':>12}{'lost':>10}{'gained':>10}")
    for row in found:
        print(f"{row.table:26}{row.before:>14,}{row.after:>12,}{row.lost:>10,}{row.gained:>10,}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args(arguments)
    found = differences(options.before, options.after)
    print_differences(found)
    sys.exit(any(row.lost or row.gained for row in found))


if __name__ == "__main__":
    main()
