"""Nights in a row through the gate: how often does each check hold a release, or warn, without a fault?

    MATINEE_SOURCE=SOURCE python -m benchmarks.gate_nights [--begin 2000-11-10] [--nights 30] [--set ...]

A nightly run as of each day's beginning, all in one home, each held against the one before. Prints for each
check the nights that it was judged on, those that it failed, and from where to where values and limits went;
exits with 1 if a release was held. The server is that of PREFECT_API_URL, else one of this benchmark's own.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from benchmarks import configuration
from benchmarks.commands import nightly
from benchmarks.home import filled_home
from warehouse.errors import Held

CHECKS = "select night: $night, * from checks"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--begin", default="2000-11-10", help="as of its first second is the first night")
    parser.add_argument("--nights", type=int, default=30)
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    configuration.load(options.set)
    begin = datetime.fromisoformat(options.begin)
    with filled_home() as home:
        # The first night of all has nothing before it.
        nights = [begin + timedelta(days=night) for night in range(-1, options.nights)]
        checks = pl.concat(_checked(home, nights, options.set))
    checks = checks.filter(pl.col("night") > pl.col("night").min())
    _print(checks)
    sys.exit(1 if checks.select((pl.col("blocking") & ~pl.col("passed")).any()).item() else 0)


def _checked(home: Path, nights: Sequence[datetime], changes: list[str]) -> Iterator[pl.DataFrame]:
    """The table ``checks`` of the release of each night, with a column ``night``."""
    for night in nights:
        held = ""
        try:
            nightly(changes, as_of=night.isoformat())
        except Held as error:
            held = f"  {error}"
        print(f"{night:%Y-%m-%d}{held}", file=sys.stderr, flush=True)
        files = [file for name in ("current", "held-*") for file in (home / "serving").glob(f"{name}.duckdb")]
        newest = max(files, key=lambda file: file.stat().st_mtime)
        with duckdb.connect(str(newest), read_only=True) as con:
            yield con.sql(CHECKS, params={"night": night}).pl()


def _print(checks: pl.DataFrame) -> None:
    """A line a check of what is measured, those that hold a release first."""
    judged = ~pl.col("message").str.contains("too few to conclude", literal=True)
    numbers = checks.filter(pl.col("value").is_not_null() & pl.col("limit").is_not_null())
    lines = (
        numbers.group_by("check", "blocking", maintain_order=True)
        .agg(
            nights=judged.sum(),
            failed=(~pl.col("passed")).sum(),
            least=pl.col("value").filter(judged).min(),
            most=pl.col("value").filter(judged).max(),
            least_limit=pl.col("limit").filter(judged).min(),
            most_limit=pl.col("limit").filter(judged).max(),
        )
        .filter(pl.col("nights") > 0)
        .sort("blocking", descending=True, maintain_order=True)
    )
    print(f"{checks['night'].n_unique()} nights\n")
    print("| check | | nights | failed | value, from | to | limit, from | to |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for row in lines.iter_rows(named=True):
        kind = "holds" if row["blocking"] else "warns"
        found = (row[name] for name in ("least", "most", "least_limit", "most_limit"))
        figures = " | ".join(f"{value:.4g}" for value in found)
        print(f"| `{row['check']}` | {kind} | {row['nights']} | {row['failed']} | {figures} |")


if __name__ == "__main__":
    main()
