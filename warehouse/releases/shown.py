"""Published lists as exposures, where nobody reports what was shown."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import polars as pl

from warehouse import sql
from warehouse.events import exposures
from warehouse.events.batch_log import SPILL
from warehouse.releases import journal, serving
from warehouse.runs.run import Json

BLOCK = 250_000
"""Rows of lists that are in memory at a time."""


def record_published(home: Path) -> None:
    """Append the lists of all releases that are kept to the log of exposures, shown as of their ``as_of``.

    Of an incremental release those that it computed.

    Raises:
        MatineeError: the home cannot be written.
    """
    stored = set(serving.kept_releases(home))
    for row in journal.publications(home):
        if row["release_id"] in stored and not exposures.has_lists(home, row["release_id"]):
            exposures.record_lists(home, row["release_id"], partial(_lists, home, row))


def _lists(home: Path, row: Json) -> Iterator[pl.DataFrame]:
    with sql.bounded(home / SPILL) as con:
        sql.attach(con, serving.fetched(home, row["release_id"]), "release")
        as_of = datetime.fromisoformat(row["as_of"])
        sql.set_variables(con, release_id=row["release_id"], as_of=as_of)
        lists = con.sql(sql.load("log/published_lists").rstrip(";\n")).to_arrow_reader(BLOCK)
        yield from map(pl.DataFrame, lists)
