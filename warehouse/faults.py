"""Errors from far below, of the disk, of DuckDB, Polars or Arrow, as one line that says what to do.

Nothing is caught where it happens. Whoever meets such an error at the end asks here what it came from: a disk
that is full, or a file of the home that is damaged, which is looked for then.
"""

import errno
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb

from warehouse import health, store

FULL = re.compile(
    r"No space left|disk quota|File too large|max_temp_directory_size|\d+ requested and \d+ written"
)
"""Messages of libraries that do not give the number of the error."""

LITTLE = 2**20
"""Bytes that are free at most on a full disk."""


def explained(error: BaseException, home: Path) -> str | None:
    """The cause of an error and the way out, in a line; None if no fault of disk or home is found."""
    chain = list(_chain(error))
    if any(map(_is_full, chain)) or (isinstance(error, IO) and _has_no_space(home)):
        file = next((link.filename for link in chain if isinstance(link, OSError) and link.filename), None)
        return f"the disk of {file or store.name(home)} is full: free some space, then {AGAIN}"
    if any(isinstance(link, MemoryError | duckdb.OutOfMemoryException) for link in chain):
        return f"not enough memory: docs/scale.md says what takes how much; free some, then {AGAIN}"
    if isinstance(error, BUGS) or not home.exists():
        return None
    damaged = [found for part in health.examine(home) for found in part.findings if found.state == "damaged"]
    return str(damaged[0]) if damaged else None


IO = (OSError, duckdb.IOException)
"""Errors of reading and writing."""

BUGS = (AssertionError, AttributeError, ImportError, NameError, TypeError)
"""Errors that no damaged file brings about."""

AGAIN = "run the same command again; what is published is unchanged"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_full(error: BaseException) -> bool:
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "errno", None) in numbers or bool(FULL.search(str(error)))


def _has_no_space(home: Path) -> bool:
    return home.exists() and shutil.disk_usage(home).free < LITTLE
