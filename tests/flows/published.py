"""Helpers of the tests of the flows: a home's log, its published tables, the command."""

import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl

from warehouse.events import log as event_log
from warehouse.releases import serving

SOURCE = "synthetic:0.01"


def median_event(home: Path) -> str:
    files = [str(batch.path) for batch in event_log.batches(home)]
    query = "select quantile_disc(event_at, 0.5) from read_parquet($files)"
    return duckdb.execute(query, {"files": files}).fetchall()[0][0].isoformat()


def ask(home: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        return con.execute(query).fetchall()


def cli(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from flows.command.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True)


def lists(home: Path, release: str) -> dict[int, list[tuple]]:
    query = "select user_id, item_id, score, release_id from recommendations order by user_id, rank"
    with duckdb.connect(str(serving.file_of(home, release)), read_only=True) as con:
        found: dict[int, list[tuple]] = {}
        for user_id, *row in con.execute(query).fetchall():
            found.setdefault(user_id, []).append(tuple(row))
        return found


def active(home: Path, begin: str, end: str) -> set[int]:
    query = (
        "select distinct user_id from read_parquet($f) "
        "where event_at >= $a::timestamp and event_at < $b::timestamp"
    )
    parameters = {"f": str(home / "events" / "*.parquet"), "a": begin, "b": end}
    return {user for (user,) in duckdb.execute(query, parameters).fetchall()}


def movie_lines(home: Path) -> str:
    """The films of the catalogue as a movies file has them."""
    films = pl.read_parquet(home / "catalog" / "items.parquet")
    return "".join(
        f"{item}::{title}::{'|'.join(genres) or '(no genres listed)'}\n"
        for item, title, genres in films.select("item_id", "title", "genres").iter_rows()
    )
