"""Lists that somebody else made: a table in a file, one list a user, perhaps one for each window."""

from pathlib import Path

import polars as pl

from warehouse.errors import MatineeError
from warehouse.events.table_file import table_file

REQUIRED: dict[str, pl.DataType] = {"user_id": pl.Int64(), "rank": pl.Int32(), "item_id": pl.Int64()}

OPTIONAL: dict[str, pl.DataType] = {"window": pl.String()}


def read(path: Path) -> pl.DataFrame:
    """The lists in a file: user_id, rank, item_id, window (null: of every window), by window, user, rank.

    Raises:
        MatineeError: the file cannot be read, lacks a column or has no rows, a row is not readable, or a list
            has a rank or a film twice, or only some rows name a window.
    """
    blocks = list(table_file(str(path), "lists", REQUIRED, OPTIONAL).blocks())
    rows = pl.concat(blocks) if blocks else pl.DataFrame()
    if rows.is_empty():
        raise MatineeError(f"{path} has no rows")
    is_whole = pl.all_horizontal("is_readable", pl.col(*REQUIRED).is_not_null(), pl.col("rank") >= 1)
    for line, raw in rows.filter(~is_whole.fill_null(False)).select("line", "raw").head(1).iter_rows():
        raise MatineeError(f"{path}, row {line}: '{raw.strip()}' has no user_id, rank from 1, and item_id")
    if rows["window"].null_count() not in (0, rows.height):
        raise MatineeError(f"{path}: some rows have a window and some have none; name it in all or in none")
    for column in ("rank", "item_id"):
        again = rows.filter(pl.struct("window", "user_id", column).is_duplicated())
        for user_id, value in again.select("user_id", column).head(1).iter_rows():
            raise MatineeError(f"{path}: user {user_id} has {column} {value} twice; a user has one list")
    return rows.select(*REQUIRED, *OPTIONAL).sort("window", "user_id", "rank")
