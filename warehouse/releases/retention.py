"""Retention: the releases whose files stay, and the removal of the others."""

from pathlib import Path

from warehouse.releases import journal, serving
from warehouse.runs import lifecycle
from warehouse.runs.run import Run


def forget(home: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` releases, the current one and the newest full one, with their runs.

    The caller holds the lock.
    """
    stored = [row for row in journal.releases(home) if row["kept"]]
    newest = [row["release_id"] for row in stored][:keep]
    newest_full = [row["release_id"] for row in stored if row["kind"] == "full"][:1]
    stay = {*newest, *newest_full, serving.current_release(home) or ""}
    for release in serving.kept_releases(home):
        if release not in stay:
            serving.file_of(home, release).unlink()
    lifecycle.sweep(home, keep=stay | {run.id for run in unfinished(home)})


def unfinished(home: Path) -> list[Run]:
    """Full runs that failed or were killed before they were published, oldest first."""
    return lifecycle.unfinished(home, {row["release_id"] for row in journal.publications(home)})
