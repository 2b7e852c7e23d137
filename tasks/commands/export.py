"""Copies of the published release for other programs."""

from pathlib import Path

from tasks import settings
from tasks.commands.answer import Answer
from warehouse.releases import export as copies
from warehouse.releases import serving

POSTGRESQL = ("postgresql://", "postgres://")


def export(to: str) -> Answer:
    """Copy all tables into a folder or a PostgreSQL database; rows by table.

    Raises:
        MatineeError: nothing is published, or what it is copied to cannot be written.
    """
    home = settings.home()
    release = serving.published_release(home)
    file = serving.fetched(home, release)
    is_database = to.startswith(POSTGRESQL)
    tables = copies.to_postgresql(file, to) if is_database else copies.to_folder(file, Path(to).expanduser())
    return {"release_id": release, "tables": tables}
