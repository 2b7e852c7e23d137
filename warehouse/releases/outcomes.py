"""Outcomes of experiments: what users were shown by which treatment arm, and what they then watched."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from warehouse import sql
from warehouse.errors import MatineeError
from warehouse.events import exposures, shared
from warehouse.events import log as event_log
from warehouse.events.batch_log import SPILL
from warehouse.releases import journal, serving


@dataclass(frozen=True)
class Exposed:
    """The exposures of an experiment."""

    users: pl.DataFrame
    """user_id, arm, n_arms, n_exposures, n_watched, n_before: of exposures that are not recent."""
    drawn: pl.DataFrame
    """user_id, arm, rank, propensity, is_watched, is_listed, is_own: where the release lists a film."""
    n_reported: int
    """Exposures of any kind."""
    n_exposures: int
    n_recent: int
    """Exposures whose time to be watched is not over at the newest event."""


def read(home: Path, experiment: str, window_days: float, release: str, started_at: datetime) -> Exposed:
    """The exposures that name an arm since the experiment began, and of them those that tell of a release.

    Where anybody reported what was shown, what was published does not count.

    Raises:
        MatineeError: the release is not kept.
    """
    as_of = _as_of(home, release)
    shared.pull(home)
    events = event_log.event_files(home)
    shown = exposures.files(home, exposures.REPORTED) or exposures.files(home, exposures.PUBLISHED)
    with sql.bounded(home / SPILL) as con:
        _rows(con, events, event_log.SCHEMA).create_view("event_rows")
        _rows(con, shown, exposures.SCHEMA).create_view("exposure_rows")
        sql.attach(con, serving.fetched(home, release), "release")
        sql.set_variables(
            con, experiment=experiment, window_days=window_days, as_of=as_of, started_at=started_at
        )
        con.execute(sql.load("log/arm_exposures"))
        users, drawn = (_frame(con, f"log/{name}") for name in ("arm_users", "arm_propensities"))
        arm_exposures = con.table("arm_exposures")
        counts = (con.view("exposure_rows"), arm_exposures, arm_exposures.filter("is_recent"))
        return Exposed(users, drawn, *(int(of.count("*").fetchall()[0][0]) for of in counts))


def _rows(con: duckdb.DuckDBPyConnection, files: list[Path], schema: pa.Schema) -> duckdb.DuckDBPyRelation:
    return con.read_parquet(list(map(str, files))) if files else con.from_arrow(schema.empty_table())


def _frame(con: duckdb.DuckDBPyConnection, query: str) -> pl.DataFrame:
    frame: pl.DataFrame = con.sql(sql.load(query).rstrip(";\n")).pl()
    return frame


def _as_of(home: Path, release: str) -> datetime:
    rows = {row["release_id"]: row["as_of"] for row in journal.publications(home)}
    if release not in rows or release not in serving.kept_releases(home):
        raise MatineeError(f"release {release} is not kept: `matinee releases` lists those that are")
    return datetime.fromisoformat(rows[release])
