"""The journal of a home: ``serving/journal.jsonl`` lists every publication and every rollback in order.

It is the memory that files which retention removed no longer hold.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path

from warehouse import store
from warehouse.atomic import append_line, read_lines
from warehouse.errors import Damaged
from warehouse.releases import serving, shared
from warehouse.runs.run import Json, is_whole

CHECKSUM = "checksum"
"""Key of an entry: the checksum of the file that was published."""

OWN = ("action", "previous", "why", "measured", CHECKSUM)
"""Keys of an entry beyond a row of the table ``releases``."""

ROW = ("release_id", "kind", "as_of", "created_at", "n_events")
"""Keys that no entry of a publication is without."""


def entries(home: Path) -> list[Json]:
    """Every publication and rollback, oldest first."""
    if found := store.of(home):
        return shared.entries(found)
    # A kill in the middle of an append leaves a last line without its end: it never took effect.
    read = [_entry(line) for line in read_lines(file_of(home))]
    if None in read:
        raise Damaged(
            f"{file_of(home)} is damaged (line {read.index(None) + 1} is no entry): "
            "`matinee doctor --repair` writes it anew"
        )
    return [entry for entry in read if entry is not None]


def readable(home: Path) -> list[Json]:
    """The entries of a journal that is a file, without the lines that are none."""
    return [entry for entry in map(_entry, read_lines(file_of(home))) if entry is not None]


def append(home: Path, entry: Json, length: int) -> None:
    """Add an entry to a journal of so many; from now on it has happened. The caller holds the lock.

    Raises:
        Taken: another machine has added one to that of the store.
    """
    line = json.dumps(entry, default=str)
    if found := store.of(home):
        return shared.append(found, json.loads(line), length)
    append_line(file_of(home), line)


def publications(home: Path) -> list[Json]:
    """The rows of the table ``releases``: all releases ever published, oldest first."""
    return [
        {name: value for name, value in entry.items() if name not in OWN}
        for entry in entries(home)
        if entry["action"] == "publish"
    ]


def checksums(home: Path) -> dict[str, str]:
    """The checksums of the files of releases, by release; those by an earlier version have none."""
    return {entry["release_id"]: entry[CHECKSUM] for entry in entries(home) if CHECKSUM in entry}


def measured(home: Path) -> list[Json]:
    """The full releases, oldest first: release_id, as_of, n_events, config, and values of checks by name.

    ``measured`` has the latter; releases by a version that did not write them down have none.
    """
    names = ("release_id", "as_of", "n_events", "config")
    return [
        {name: entry[name] for name in names} | {"measured": entry.get("measured", {})}
        for entry in entries(home)
        if entry["action"] == "publish" and entry["kind"] == "full"
    ]


def held(home: Path) -> list[Json]:
    """The releases that the gate holds, oldest first: as ``releases``, with ``failed``, a line a check."""
    rows = []
    for file in (serving.held_row(home, release) for release in serving.held_releases(home)):
        if (row := read_held(file)) is None:
            raise Damaged(f"{file} is damaged: `matinee doctor --repair` sets it aside")
        rows.append(row)
    return sorted(rows, key=lambda row: str(row["created_at"]))


def read_held(file: Path) -> Json | None:
    """The row that a file has of a held release; None if that cannot be read."""
    try:
        row: Json = json.loads(file.read_text("utf-8"))
        return row | {key: row[key] for key in (*ROW, "failed")}
    except (ValueError, KeyError, TypeError):
        return None


def releases(home: Path) -> list[Json]:
    """All releases ever published, newest first, with ``current`` and ``kept``."""
    stored, current = set(serving.kept_releases(home)), serving.current_release(home)
    rows = [
        row | {"current": row["release_id"] == current, "kept": row["release_id"] in stored}
        for row in publications(home)
    ]
    return rows[::-1]


def next_moment(home: Path, now: datetime) -> datetime:
    """The time that a release begun now is given: the clock's, or just after that of every release before it.

    Ids and the order of releases are made of it: a clock that jumped back would mix them up.
    """
    earlier = [datetime.fromisoformat(row["created_at"]) for row in publications(home)]
    return max([now, *(moment + timedelta(microseconds=1) for moment in earlier)])


def newest_full(home: Path, as_of: datetime) -> str | None:
    """The full release with the newest ``as_of`` at or before the given one whose run is whole, if any.

    Those that somebody rolled back from are none.
    """
    good = never_left(home)
    candidates = [
        (datetime.fromisoformat(row["as_of"]), row["created_at"], row["release_id"])
        for row in releases(home)
        if row["kind"] == "full" and row["kept"] and row["release_id"] in good
        if is_whole(home, row["release_id"])
    ]
    return max((c for c in candidates if c[0] <= as_of), default=(None, None, None))[2]


def never_left(home: Path) -> list[str]:
    """The releases up to the published one, without those that a rollback left behind."""
    found: list[str] = []
    for entry in entries(home):
        release = entry["release_id"]
        if entry["action"] == "rollback" and release in found:
            found = found[: found.index(release)]
        found.append(release)
    return found


def previous(home: Path, release: str | None) -> str | None:
    """The release that was current when ``release`` was published, back to one that is kept."""
    before: dict[str, str | None] = {
        entry["release_id"]: entry["previous"] for entry in entries(home) if entry["action"] == "publish"
    }
    earlier = before.get(release) if release else None
    stored = serving.kept_releases(home)
    while earlier is not None and earlier not in stored:
        earlier = before.get(earlier)
    return earlier


def earlier(home: Path, release: str) -> str | None:
    """The kept release to hold another one against: its parent, else what was current when it was published.

    For one that the gate holds it is what is published now, as for the gate.
    """
    if release in [row["release_id"] for row in held(home)]:
        return serving.current_release(home)
    parents = {row["release_id"]: row["parent_id"] for row in publications(home)}
    parent: str | None = parents.get(release)
    return parent if parent in serving.kept_releases(home) else previous(home, release)


def _entry(line: str) -> Json | None:
    """The entry of a line; None if it is none."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or entry.get("action") not in ("publish", "rollback"):
        return None
    needed = (*ROW, "previous") if entry["action"] == "publish" else ("release_id",)
    return entry if all(key in entry for key in needed) else None


def file_of(home: Path) -> Path:
    """The path of the journal of a home that is a folder."""
    return home / "serving" / "journal.jsonl"
