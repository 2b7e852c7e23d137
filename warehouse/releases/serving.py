"""The folder ``serving/``: one complete, immutable DuckDB file a release, and the link that readers open.

A release is built beside the others and published by moving the link, in one atomic step: a reader sees the
old release or the new one, never half of either, and keeps what it opened.
"""

from pathlib import Path

from warehouse import atomic, store
from warehouse.errors import Damaged, MatineeError
from warehouse.releases import shared

REPAIR = "`matinee doctor --repair` makes it lead to the newest whole release"


def file_of(home: Path, release: str) -> Path:
    """The path of the file of a release, kept or not, fetched or not."""
    return home / shared.object_of(release)


def held_file(home: Path, release: str) -> Path:
    """The path of the file of a release that the gate holds; no reader takes it for one that is published."""
    return home / "serving" / f"held-{release}.duckdb"


def held_releases(home: Path) -> list[str]:
    """The releases that have such a row, oldest first."""
    return sorted(file.stem.removeprefix("held-") for file in (home / "serving").glob("held-*.json"))


def held_row(home: Path, release: str) -> Path:
    """The path of what ``matinee releases`` says of such a release; without it, it is none."""
    return held_file(home, release).with_suffix(".json")


def fetched(home: Path, release: str) -> Path:
    """The file of a kept release, fetched from the store of a home that is on one."""
    found = store.of(home)
    return shared.fetch(found, release) if found else file_of(home, release)


def readable(home: Path, release: str) -> Path:
    """The file of a release that is kept or held.

    Raises:
        MatineeError: it is neither.
    """
    if (held := held_file(home, release)).exists() and held_row(home, release).exists():
        return held
    if release not in kept_releases(home):
        raise MatineeError(f"release {release} is not kept: `matinee releases` lists those that are")
    return fetched(home, release)


def current_file(home: Path) -> Path:
    """The link that readers open; of a home on a store the file of the published release, fetched.

    Raises:
        MatineeError: nothing is published.
        Damaged: the link leads nowhere, or is none.
    """
    if found := store.of(home):
        if (file := shared.fetch_current(found)) is None:
            raise _nothing_published(home)
        return file
    link = link_of(home)
    if current_release(home) is None:
        raise _nothing_published(home)
    if not link.exists():
        raise Damaged(f"{link} leads to {link.readlink()}, which is missing: {REPAIR}")
    return link


def _nothing_published(home: Path) -> MatineeError:
    held = held_releases(home)
    fix = f"release {held[-1]} is held {how_to_publish(held[-1])}" if held else "run `matinee nightly` first"
    return MatineeError(f"nothing is published in {store.name(home)}: {fix}")


def how_to_publish(held: str) -> str:
    """The commands for a held release, in brackets."""
    return f"(look: `matinee releases`; publish it all the same: `matinee publish {held} --force --why ...`)"


def published_release(home: Path) -> str:
    """The id of the published release.

    Raises:
        MatineeError: nothing is published.
    """
    file = current_file(home)
    return _release_of(file.readlink() if file.is_symlink() else file)


def current_release(home: Path) -> str | None:
    """The id of the published release, or None.

    Raises:
        Damaged: something else is in the place of the link.
    """
    if found := store.of(home):
        return shared.current(found)
    link = link_of(home)
    if link.exists() and not link.is_symlink():
        raise Damaged(f"{link} is no link to a release: {REPAIR}")
    return _release_of(link.readlink()) if link.is_symlink() else None


def kept_releases(home: Path) -> list[str]:
    """The releases whose files are kept, oldest first."""
    if found := store.of(home):
        return shared.kept_releases(found)
    return sorted(_release_of(file) for file in (home / "serving").glob("recs-*.duckdb") if file.is_file())


def make_current(home: Path, release: str) -> None:
    """Make a release the one that readers open from now on. The caller holds the lock.

    On a store the newest entry of the journal did so.
    """
    if store.of(home) is None:
        atomic.point(link_of(home), file_of(home, release).name)


def where(home: Path) -> str:
    """Where people find what is published."""
    found = store.of(home)
    return f"{found.url}/{shared.HEAD} names the file" if found else str(link_of(home))


def link_of(home: Path) -> Path:
    """The link of a home that is a folder."""
    return home / "serving" / "current.duckdb"


def _release_of(file: Path) -> str:
    return file.name.removeprefix("recs-").removesuffix(".duckdb")
