"""Rows, seconds and memory of the steps of the published release."""

from pathlib import Path

import duckdb

QUERY = "select step, rows, seconds, peak_memory_mb from lineage order by rowid"


def print_steps(home: Path) -> None:
    """Print a line a step: rows written, wall seconds, peak memory."""
    with duckdb.connect(str(home / "serving" / "current.duckdb"), read_only=True) as con:
        for step, rows, seconds, memory in con.execute(QUERY).fetchall():
            print(f"{step:<28}{rows:>12,} rows {seconds:>8.1f} s {memory:>8.0f} MiB")
