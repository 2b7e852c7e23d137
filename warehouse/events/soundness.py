"""Whether the files of the log are those that were written, and what to do where they are not."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import checksum
from warehouse.errors import Damaged
from warehouse.events import shared

REMEDIES = {
    "events": "put a copy of it back, or remove it and ingest its source again",
    "behaviour": "put a copy of it back, or remove it and ingest its source again",
    "exposures": "put a copy of it back, or remove it and report it again with `matinee shown`",
    "block_list": "put a copy of it back, or remove it and report it again with `matinee block`",
    "catalog": "`matinee doctor --repair` makes it anew",
    "quarantine": "`matinee doctor --repair` sets it aside, with the rows that wait in it",
}
"""The way out, by the folder of the damaged file."""


def check(home: Path) -> None:
    """Compare the files of the log with their checksums: 100 million ratings take a second.

    Files by an earlier version have none, and are believed.

    Raises:
        Damaged: one of them is not what was written.
    """
    for file in files(home):
        try:
            checksum.is_sealed(file)
        except Damaged as error:
            raise Damaged(described(file, str(error))) from None


def damage(file: Path) -> str | None:
    """The reason why a file cannot be used; None if it can. One without a checksum is read for that."""
    try:
        if not checksum.is_sealed(file):
            for _ in pq.ParquetFile(file).iter_batches():
                pass
    except (Damaged, OSError, pa.ArrowException) as error:
        return str(error).splitlines()[0]
    return None


def files(home: Path) -> list[Path]:
    """All Parquet files of the log."""
    return [file for folder in shared.FOLDERS for file in sorted((home / folder).glob("[!.]*.parquet"))]


def described(file: Path, problem: str) -> str:
    """The damage of a file and the way out, in a line."""
    return f"{file} is damaged ({problem}): {REMEDIES[file.parent.name]}"
