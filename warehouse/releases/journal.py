"""The journal of a home: ``serving/journal.jsonl`` lists every publication and every rollback in order.

It is the memory that files which retention removed no longer hold.
"""

import json
from datetime import datetime
from pathlib import Path

from warehouse import store
from warehouse.atomic import append_line, read_lines
from warehouse.releases import serving, shared
from warehouse.runs.run import Json, is_whole


def entries(home: Path) -> list[Json]:
    """Every publication and rollback, oldest first."""
    if found := store.of(home):
        return shared.entries(found)
    # A kill in the middle of an append leaves a last line without its end: it never took effect.
    return [json.loads(line) for line in read_lines(_file(home))]


def append(home: Path, entry: Json, length: int) -> None:
    """Add an entry to a journal of so many; from now on it has happened. The caller holds the lock.

    Raises:
        Taken: another machine has added one to that of the store.
    """
    line = json.dumps(entry, default=str)
    if found := store.of(home):
        return shared.append(found, json.loads(line), length)
    append_line(_file(home), line)


def publications(home: Path) -> list[Json]:
    """The rows of the table ``releases``: all releases ever published, oldest first."""
    return [
        {name: value for name, value in entry.items() if name not in ("action", "previous")}
        for entry in entries(home)
        if entry["action"] == "publish"
    ]


def releases(home: Path) -> list[Json]:
    """All releases ever published, newest first, with ``current`` and ``kept``."""
    stored, current = set(serving.kept_releases(home)), serving.current_release(home)
    rows = [
        row | {"current": row["release_id"] == current, "kept": row["release_id"] in stored}
        for row in publications(home)
    ]
    return rows[::-1]


def newest_full(home: Path, as_of: datetime) -> str | None:
    """The full release with the newest ``as_of`` at or before the given one whose run is whole, if any."""
    candidates = [
        (datetime.fromisoformat(row["as_of"]), row["created_at"], row["release_id"])
        for row in releases(home)
        if row["kind"] == "full" and row["kept"] and is_whole(home, row["release_id"])
    ]
    return max((c for c in candidates if c[0] <= as_of), default=(None, None, None))[2]


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


def _file(home: Path) -> Path:
    return home / "serving" / "journal.jsonl"
