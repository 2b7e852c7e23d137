"""What offline evaluation reads, the whole log, and the files it writes.

``FILE`` is the JSON list of figures; ``FILE.npz`` beside it holds the sums a user that they are made of, so
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

from warehouse import sql
from warehouse.atomic import Staging
from warehouse.errors import MatineeError
from warehouse.events.log import event_files
from warehouse.runs import snapshot
from warehouse.runs.snapshot import Arrays


@dataclass(frozen=True)
class WholeLog:
    """Every rating ever logged, also those of a film rated again, and the catalogue as it is."""

    events: (
        Arrays  # user_id, item_id, rating, at (epoch seconds), (E,) each, by user, time, order of the file
    )
    users: pl.DataFrame  # user_id, gender, age, occupation, zip
    items: pl.DataFrame  # item_id, title, year, genres


def read_log(home: Path) -> WholeLog:
    """The log of a home folder. Raises MatineeError for an empty one."""
    files = [str(file) for file in event_files(home)]
    if not files:
        raise MatineeError(f"the log in {home} has no ratings: name a source with --source")
    with duckdb.connect() as con:
        con.execute("set variable files = $files", {"files": files})
        con.register("catalog_users", snapshot.catalog_users(home))
        events = con.execute(sql.load("evaluation/events")).fetchnumpy()
        users = con.sql(sql.load("evaluation/users")).pl()
    items = pl.read_parquet(home / "catalog" / "items.parquet")
    return WholeLog({name: np.asarray(column) for name, column in events.items()}, users, items)


def write(path: Path, rows: list[dict[str, Any]], sums: Arrays) -> None:
    """Write the figures and the sums they are made of; what is there stays whole until both are written."""
    with Staging() as staging:
        with staging.path(sums_file(path)).open("wb") as stream:
            np.savez_compressed(stream, **sums)  # type: ignore[arg-type]
        staging.path(path).write_text(json.dumps(rows, indent=1))
        staging.commit()


def read_sums(path: Path) -> Arrays:
    """The sums of an earlier evaluation, by the path of its figures. Raises MatineeError without them."""
    try:
        return snapshot.load_arrays(sums_file(path))
    except (OSError, ValueError, zipfile.BadZipFile):
        raise MatineeError(
            f"{path} is no baseline: there are no sums in {sums_file(path)}, which --out writes beside it"
        ) from None


def check_writable(path: Path) -> None:
    """Raise MatineeError, before hours of work, if ``path`` cannot be written later."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise MatineeError(f"cannot write {path}: it must be a file in a folder that exists")


def sums_file(path: Path) -> Path:
    """Where the sums of the figures in ``path`` are."""
    return path.with_name(path.name + ".npz")
