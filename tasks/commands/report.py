"""The report on a release: its verdict, and everything that a page shows of it and of the release before."""

from pathlib import Path

import numpy as np

from models import graph
from tasks import settings
from tasks.commands.answer import Answer
from tasks.commands.diff import compare
from warehouse.errors import Damaged
from warehouse.releases import contents, journal, serving
from warehouse.runs import files
from warehouse.runs.run import Run

RELEASES = 12
"""Releases of a report, the newest."""


def report(release: str | None = None, against: str | None = None) -> Answer:
    """The report on a release, by default the published one, against another one, by default its parent.

    Raises:
        MatineeError: nothing is published, or one of them is neither kept nor held.
    """
    home = settings.home()
    return read(home, release or serving.published_release(home), against)


def read(home: Path, release: str, against: str | None = None) -> Answer:
    """The same of a release in a home.

    Raises:
        MatineeError: one of them is neither kept nor held.
    """
    file = serving.readable(home, release)
    against = against or journal.earlier(home, release)
    found = contents.read(file, release)
    changes = None if against is None else compare(home, release, against)
    old = None if against is None else serving.readable(home, against)
    as_of = found["release"]["as_of"]
    return found | {
        "verdict": _verdict(home, release, found["checks"]),
        "changes": changes,
        "popularity_before": [] if old is None else contents.popularity(old),
        "merge_weights": _merge_weights(home, release),
        "graph": _graph(file),
        "exposures": contents.exposed(home, file, as_of),
        "timings": contents.timings(home, file, release, RELEASES),
        "releases": journal.releases(home)[:RELEASES],
        "users": _users(home, file, old, found["release"], changes),
        "films": contents.sample_films(file),
    }


def _verdict(home: Path, release: str, checks: list[Answer]) -> Answer:
    """``status``: held, current, or kept, which is not published now; the checks that failed; the reason why.

    The latter is whoever's who published a held release all the same.
    """
    held = release in [row["release_id"] for row in journal.held(home)]
    entries = [entry for entry in journal.entries(home) if entry["release_id"] == release]
    failed = [check for check in checks if not check["passed"]]
    return {
        "status": "held" if held else "current" if serving.current_release(home) == release else "kept",
        "checks": len(checks),
        "blocking": [check for check in failed if check["blocking"]],
        "warnings": [check for check in failed if not check["blocking"]],
        "why": next((entry["why"] for entry in entries if "why" in entry), None),
    }


def _merge_weights(home: Path, release: str) -> list[Answer]:
    """Weights of the channels in the merged list; none of a run of which retention has left little."""
    try:
        run = Run.read(home, release)
    except Damaged:
        return []
    if not files.has_table(run, "merge_weights"):
        return []
    return files.read_table(run, "merge_weights").to_dicts()


def _graph(file: Path) -> Answer:
    """The most central films with their positions x and y, and the links between them."""
    films, links = contents.graph(file)
    number = {film["item_id"]: position for position, film in enumerate(films)}
    low, high = (np.array([number[link[end]] for link in links], dtype=np.int64) for end in ("low", "high"))
    positions = graph.layout(low, high, len(films))
    return {
        "films": [
            film | {"x": float(x), "y": float(y)} for film, (x, y) in zip(films, positions, strict=True)
        ],
        "links": links,
    }


def _users(home: Path, file: Path, old: Path | None, release: Answer, changes: Answer | None) -> list[Answer]:
    """Some users with ``history``, ``now`` and ``before``; films of one list alone are ``new``."""
    moved = [] if changes is None else [user["user_id"] for user in changes["moved"]]
    users = contents.sample_users(file, moved)
    ids = [user["user_id"] for user in users]
    history = _by_user(contents.histories(home, file, ids, release["as_of"]))
    now = _by_user(contents.first_pages(file, ids))
    before = {} if old is None else _by_user(contents.first_pages(old, ids))
    return [
        user
        | {
            "history": history.get(user["user_id"], []),
            "now": _compared(now.get(user["user_id"], []), before.get(user["user_id"], [])),
            "before": _compared(before.get(user["user_id"], []), now.get(user["user_id"], [])),
        }
        for user in users
    ]


def _by_user(rows: list[Answer]) -> dict[int, list[Answer]]:
    found: dict[int, list[Answer]] = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append(row)
    return found


def _compared(films: list[Answer], others: list[Answer]) -> list[Answer]:
    """The films with ``is_new``: the other list does not have them, if there is one."""
    ids = {film["item_id"] for film in others}
    return [film | {"is_new": bool(others) and film["item_id"] not in ids} for film in films]
