"""The folder ``serving/``: one complete, immutable DuckDB file a release, and the link that readers open.

A release is built beside the others and published by moving the link, in one atomic step: a reader sees the
old release or the new one, never half of either, and keeps what it opened.
"""

from pathlib import Path

from warehouse import atomic
from warehouse.errors import MatineeError


def file_of(home: Path, release: str) -> Path:
    """The file of a release, kept or not."""
    return home / "serving" / f"recs-{release}.duckdb"


def current_file(home: Path) -> Path:
    """The link that readers open.

    Raises:
        MatineeError: nothing is published.
    """
    link = _link(home)
    if not link.exists():
        raise MatineeError(f"nothing is published in {home}: run `matinee nightly` first")
    return link


def published_release(home: Path) -> str:
    """The id of the published release.

    Raises:
        MatineeError: nothing is published.
    """
    return _release_of(current_file(home).readlink())


def current_release(home: Path) -> str | None:
    """The id of the published release, or None."""
    link = _link(home)
    return _release_of(link.readlink()) if link.is_symlink() else None


def kept_releases(home: Path) -> list[str]:
    """The releases whose files are still here, oldest first."""
    return sorted(_release_of(file) for file in (home / "serving").glob("recs-*.duckdb"))


def make_current(home: Path, release: str) -> None:
    """Make a release the one that readers open from now on. The caller holds the lock."""
    atomic.point(_link(home), file_of(home, release).name)


def _link(home: Path) -> Path:
    return home / "serving" / "current.duckdb"


def _release_of(file: Path) -> str:
    return file.name.removeprefix("recs-").removesuffix(".duckdb")
