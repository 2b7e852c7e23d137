"""Everything that a report says of one release, read from its serving file and from the logs of its home."""

from datetime import datetime
from pathlib import Path
from typing import Any

from warehouse.events import exposures, shared
from warehouse.events import log as event_log
from warehouse.releases.queries import Records, rows

TABLES = (
    "channels",
    "popularity",
    "users_by_ratings",
    "films_by_ratings",
    "experiments",
    "metrics",
    "curves",
)
"""Queries of one release that need nothing but its file, ``warehouse/sql/report/TABLE.sql``."""

COMMUNITIES = 10
"""Communities of films that a report names, the largest."""

PAGE = 10
"""Ranks of a first page."""

HISTORY = 12
"""Newest events of a user that a report shows."""

NEIGHBOURS = 5
"""Nearest films that a report shows of a film, by channel."""

NEWEST, SPREAD = 8, 26
"""Users of a report who came last, and those spread evenly over all."""

FILMS = 60
"""Films of a report that are the most rated, and as many of the others."""

GRAPH_FILMS = 150
"""Films of the graph in a report, the most central ones."""


def read(file: Path, release: str) -> dict[str, Any]:
    """The tables of a release, by subject.

    Raises:
        MatineeError: a version that did not have one of the tables yet made the file.
    """
    return {name: rows(file, f"report/{name}") for name in TABLES} | {
        "release": row(file, release),
        "checks": rows(file, "report/checks", release_id=release),
        "coverage": rows(file, "report/coverage", release_id=release)[0],
        "communities": rows(file, "report/communities", n=COMMUNITIES),
        "steps": rows(file, "queries/lineage", release_id=release),
    }


def row(file: Path, release: str) -> dict[str, Any]:
    """The row of a release in its own table ``releases``."""
    return rows(file, "queries/release", release_id=release)[0]


def titles(file: Path) -> dict[int, str]:
    """The titles of all films by their ids."""
    return {film["item_id"]: film["title"] for film in rows(file, "queries/titles")}


def metrics(file: Path) -> Records:
    """Metrics of the newest release of a file that measured each stage."""
    return rows(file, "report/metrics")


def popularity(file: Path) -> Records:
    """The fractions of ratings and of first pages of each tenth of the films, the most rated first."""
    return rows(file, "report/popularity")


def graph(file: Path) -> tuple[Records, Records]:
    """The most central films, and which of them are near each other: low, high."""
    films = rows(file, "report/graph_films", n=GRAPH_FILMS)
    return films, rows(file, "report/graph_links", items=[film["item_id"] for film in films])


def sample_users(file: Path, others: list[int]) -> Records:
    """Some users of every sort, and others: sort, user_id and what is to be told of them."""
    return rows(file, "report/sample_users", spread=SPREAD, newest=NEWEST, others=others)


def first_pages(file: Path, users: list[int]) -> Records:
    """The first pages of some users, with the reasons."""
    return rows(file, "report/lists_of", users=users, n=PAGE)


def sample_films(file: Path) -> Records:
    """Some films, each with ``near``: its nearest films by channel."""
    films = rows(file, "report/sample_films", n=FILMS)
    near: dict[int, dict[str, list[str]]] = {film["item_id"]: {} for film in films}
    for found in rows(file, "report/neighbours", items=list(near), n=NEIGHBOURS):
        near[found["item_id"]].setdefault(found["channel"], []).append(found["title"])
    return [film | {"near": near[film["item_id"]]} for film in films]


def histories(home: Path, file: Path, users: list[int], as_of: datetime) -> Records:
    """The newest events of some users before a time, by the log as it is now."""
    shared.pull(home)
    files = [str(path) for path in event_log.event_files(home)]
    if not files:
        return []
    return rows(file, "report/histories", files=files, users=users, as_of=as_of, n=HISTORY)


def exposed(home: Path, file: Path, as_of: datetime) -> Records:
    """Counts of the log of exposures before a time, by ``origin``: reported ones, and published lists."""
    found = []
    for origin in (exposures.REPORTED, exposures.PUBLISHED):
        if files := [str(path) for path in exposures.files(home, origin)]:
            counts = rows(file, "report/exposures", files=files, as_of=as_of)[0]
            found.append({"origin": origin} | counts)
    return found


def timings(home: Path, file: Path, release: str, n: int) -> Records:
    """Seconds of each step of the newest n releases up to one, of the runs that are in this home."""
    lineage = {path.parent.name: path / "*.parquet" for path in sorted((home / "runs").glob("[!.]*/lineage"))}
    files = [str(path) for name, path in lineage.items() if name <= release][-n:]
    return rows(file, "report/timings", files=files) if files else []
