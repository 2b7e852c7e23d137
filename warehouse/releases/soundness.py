"""Whether the file of a release is the one that was published, and which other one could take its place."""

from pathlib import Path

import duckdb

from warehouse import checksum, sql, store
from warehouse.errors import Damaged
from warehouse.releases import journal, serving


def check(home: Path, release: str) -> None:
    """Compare the file of a release with its checksum; one by an earlier version is believed.

    Raises:
        Damaged: it is missing, or is not what was published; another release is named that is whole.
    """
    if problem := damage(home, release):
        raise Damaged(described(home, release, problem))


def damage(home: Path, release: str) -> str | None:
    """The reason why the file of a release cannot be used; None if it can."""
    file = serving.file_of(home, release)
    if not file.exists():
        return "it is missing" if store.of(home) is None else None  # it may not be fetched yet
    expected = journal.checksums(home).get(release)
    if expected is None:
        return _unreadable(file)
    return None if checksum.of(file) == expected else "its bytes are not those that were published"


def _unreadable(file: Path) -> str | None:
    """The words of DuckDB when it reads all of a file; None if it can."""
    try:
        with duckdb.connect(str(file), read_only=True) as con:
            for table in sql.tables(con):
                con.table(table).fetchall()
    except duckdb.Error as error:
        return str(error).splitlines()[0]
    return None


def described(home: Path, release: str, problem: str) -> str:
    """The damage of a release and the way out, in a line."""
    others = [other for other in serving.kept_releases(home)[::-1] if other != release]
    whole = next((other for other in others if damage(home, other) is None), None)
    back = f"`matinee rollback {whole}` publishes that one again, " if whole else ""
    return f"{serving.file_of(home, release)} is damaged ({problem}): {back}`matinee nightly` a new one"
