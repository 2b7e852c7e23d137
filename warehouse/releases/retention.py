"""Retention: the releases whose files stay, what stays of their runs, and the removal of the rest."""

from pathlib import Path

from warehouse import store
from warehouse.releases import journal, serving, shared
from warehouse.runs import lifecycle
from warehouse.runs.run import Run


def forget(home: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` releases, the current one and the newest full one, with their runs.

    A run stays whole as long as another one may go on from it: that of the current release (an hourly), of
    the one before it (an hourly after a rollback), of the newest full one that nobody rolled back from (a
    nightly), and parents of runs that are being made. Of the others the release can be queried and rolled
    back to, and what tells how they were made is left. The caller holds the lock.
    """
    stored = [row for row in journal.releases(home) if row["kept"]]
    newest = [row["release_id"] for row in stored][:keep]
    good = journal.never_left(home)
    full = [row["release_id"] for row in stored if row["kind"] == "full" and row["release_id"] in good]
    newest_full = set(full[:1])
    current = serving.current_release(home)
    stay = {*newest, *newest_full, current or ""}
    for release in serving.kept_releases(home):
        if release not in stay:
            serving.file_of(home, release).unlink(missing_ok=True)
    left, held = unfinished(home), forget_held(home)
    lifecycle.sweep(home, keep=stay | held | {run.id for run in left})
    whole = {*newest_full, *held, current or "", journal.previous(home, current) or ""}
    lifecycle.strip(home, whole | {name for run in left for name in (run.id, run.parent_id or "")})
    if found := store.of(home):
        shared.retain(found, stay, whole)


def forget_held(home: Path) -> set[str]:
    """Remove the held releases that nobody will publish any more; returns the others.

    The newest full one stays until a full one is published after it, the newest incremental one until
    anything is. The caller holds the lock.
    """
    published = [row for row in journal.publications(home) if row["kind"] == "full"][-1:]
    published += journal.publications(home)[-1:]
    stay: dict[str, str] = {}
    for row in journal.held(home):
        after = published[:1] if row["kind"] == "full" else published
        if all(row["created_at"] > other["created_at"] for other in after):
            stay[row["kind"]] = row["release_id"]
    for row in journal.held(home):
        if row["release_id"] not in stay.values():
            remove_held(home, row["release_id"])
            lifecycle.discard(home, row["release_id"])
    for file in (home / "serving").glob("held-*.duckdb"):
        if not file.with_suffix(".json").exists():  # a kill came between the two
            file.unlink()
    return set(stay.values())


def remove_held(home: Path, release: str) -> None:
    """Remove the files of a held release, first the one without which it is none."""
    for file in (serving.held_row(home, release), serving.held_file(home, release)):
        file.unlink(missing_ok=True)


def unfinished(home: Path) -> list[Run]:
    """Full runs that failed or were killed before they were published, oldest first."""
    done = [*journal.publications(home), *journal.held(home)]
    return lifecycle.unfinished(home, {row["release_id"] for row in done})
