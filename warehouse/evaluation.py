"""Offline evaluation: the whole log that it reads, and the files that it writes.

``FILE`` is the JSON list of metrics; ``FILE.npz`` beside it holds the sums a user that they are made of, so
that a later evaluation can tell how it differs, user by user.
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from warehouse import arrays, sql, store
from warehouse.arrays import Arrays
from warehouse.atomic import Staging
from warehouse.errors import MatineeError
from warehouse.events.log import batches
from warehouse.runs import snapshot

SETTINGS = "settings"
"""Name of the array of settings that were not left to defaults, as KEY=VALUE."""


@dataclass(frozen=True)
class WholeLog:
    """Every rating ever logged, also those of a film rated again, and the catalogue as it is."""

    events: Arrays
    """The columns of ``snapshot.read_events``, (E,) each, by user, time, order of the file."""
    users: pl.DataFrame
    """user_id, gender, age, occupation, zip."""
    items: pl.DataFrame
    """item_id, title, year, genres."""


def read_log(home: Path) -> WholeLog:
    """The log of a home folder.

    Raises:
        MatineeError: it is empty.
    """
    files = [str(batch.path) for batch in batches(home) if batch.rows]
    if not files:
        raise MatineeError(f"the log in {store.name(home)} has no ratings: name a source with --source")
    with duckdb.connect() as con:
        sql.set_variables(con, files=files)
        con.execute(sql.load("evaluation/events"))
        snapshot.add_catalog(con, home)
        return WholeLog(snapshot.read_events(con), con.table("users").pl(), con.table("items").pl())


def write(path: Path, rows: list[dict[str, Any]], sums: Arrays) -> None:
    """Write the metrics and the sums they are made of; earlier ones stay whole until both are written."""
    with Staging() as staging:
        with staging.path(sums_file(path)).open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **sums)
        staging.path(path).write_text(json.dumps(rows, indent=1))
        staging.commit()


def read_sums(path: Path) -> Arrays:
    """The sums of an earlier evaluation, by the path of its metrics.

    Raises:
        MatineeError: there are none.
    """
    try:
        return arrays.load(sums_file(path))
    except (OSError, ValueError, zipfile.BadZipFile):
        raise MatineeError(
            f"{path} is no baseline: there are no sums in {sums_file(path)}, which --out writes beside it"
        ) from None


def check_writable(path: Path) -> None:
    """Refuse, before hours of work, a path that cannot be written later.

    Raises:
        MatineeError: it is a folder, or in none.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise MatineeError(f"cannot write {path}: it must be a file in a folder that exists")


def sums_file(path: Path) -> Path:
    """The file of the sums of the metrics in ``path``."""
    return path.with_name(path.name + ".npz")
