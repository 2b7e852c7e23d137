"""Retention: the releases whose files stay, what stays of their runs, and the removal of the rest."""

from pathlib import Path

from warehouse import store
from warehouse.releases import journal, serving, shared
from warehouse.runs import lifecycle
from warehouse.runs.run import Run


def forget(home: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` releases, the current one and the newest full one, with their runs.

    A run stays whole as long as another one may go on from it: that of the current release (an hourly), of
    the one before it (an hourly after a rollback), of the newest full one (a nightly), and parents of runs
    that are being made. Of the others the release can be queried and rolled back to, and what tells how they
    were made is left. The caller holds the lock.
    """
    stored = [row for row in journal.releases(home) if row["kept"]]
    newest = [row["release_id"] for row in stored][:keep]
    newest_full = {row["release_id"] for row in [r for r in stored if r["kind"] == "full"][:1]}
    current = serving.current_release(home)
    stay = {*newest, *newest_full, current or ""}
    for release in serving.kept_releases(home):
        if release not in stay:
            serving.file_of(home, release).unlink(missing_ok=True)
    left = unfinished(home)
    lifecycle.sweep(home, keep=stay | {run.id for run in left})
    whole = {*newest_full, current or "", journal.previous(home, current) or ""}
    lifecycle.strip(home, whole | {name for run in left for name in (run.id, run.parent_id or "")})
    if found := store.of(home):
        shared.retain(found, stay, whole)


def unfinished(home: Path) -> list[Run]:
    """Full runs that failed or were killed before they were published, oldest first."""
    return lifecycle.unfinished(home, {row["release_id"] for row in journal.publications(home)})
