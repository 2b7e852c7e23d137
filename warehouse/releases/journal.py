"""The journal of a home: ``serving/journal.jsonl`` lists every publication and every rollback in order.

It is the memory that files which retention removed no longer hold.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path

from warehouse import store
from warehouse.atomic import append_line, read_lines
from warehouse.releases import serving, shared
from warehouse.runs.run import Json, is_whole

BESIDE = ("action", "previous", "why", "measured")
"""Fields of an entry beside the row of the table ``releases``."""


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
        {name: value for name, value in entry.items() if name not in BESIDE}
        for entry in entries(home)
        if entry["action"] == "publish"
    ]


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
    rows = [json.loads(file.read_text("utf-8")) for file in (home / "serving").glob("held-*.json")]
    return sorted(rows, key=lambda row: str(row["created_at"]))


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
