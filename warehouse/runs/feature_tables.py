"""The published features of users and items as of a run, from their declarations.

A declaration names a statistic of ratings, whose SQL is ``warehouse/sql/statistics/NAME.sql``, or has its
own ``sql``. Models have the same statistics, compiled, for any moment.
"""

from collections.abc import Mapping
from typing import Any

import duckdb

from warehouse import sql
from warehouse.atomic import replacing
from warehouse.errors import MatineeError
from warehouse.runs import snapshot
from warehouse.runs.run import Run

Declarations = list[dict[str, Any]]
"""The blocks of features.toml under one heading."""


NEEDED = {
    "user": ("n_ratings", "rating_mean", "top_genres", "first_event_at", "last_event_at"),
    "item": ("n_ratings",),
}
"""Published features that the release itself and the queries to it read, by whose they are."""


def check(features: Mapping[str, Declarations]) -> None:
    """Refuse declarations of which no release can be made.

    Raises:
        MatineeError: they do not publish what a release needs.
    """
    for side, names in NEEDED.items():
        published = {declared["name"] for declared in features.get(side, []) if "type" in declared}
        if missing := [name for name in names if name not in published]:
            raise MatineeError(f"features: a release needs {', '.join(missing)} of {side}s, with a type")


def write(run: Run, features: dict[str, Declarations]) -> dict[str, int]:
    """Write users, items and their features into the run; returns the rows by table.

    ``features`` is the content of ``features.toml``: of the declarations under ``user`` and ``item`` those
    with a type are published.

    Raises:
        MatineeError: no event is before ``as_of``, or the SQL of a feature fails.
    """
    with snapshot.connect(run) as con:
        rows = {"events": sql.count(con, "events")}
        if rows["events"] == 0:
            raise MatineeError(f"no rating is before {run.as_of}: choose a later --as-of")
        # Threads would add up decayed counts in any order: the last bits would differ from run to run.
        con.execute("set threads = 1")
        con.execute(sql.load("run/top_genres"))
        for side in ("user", "item"):
            try:
                con.execute(sql.load(f"run/{side}_features").format(features=_columns(features[side])))
            except duckdb.Error as error:
                raise MatineeError(f"features of {side}s: {str(error).splitlines()[0]}") from None
        for table in ("users", "items", "user_features", "item_features"):
            rows[table] = sql.count(con, table)
            with replacing(run.file(f"{table}.parquet")) as temporary:
                sql.copy(con, table, temporary)
    return rows


def _columns(declarations: Declarations) -> str:
    return ",\n    ".join(
        f"({_expression(d)})::{d['type']} as {d['name']}" for d in declarations if "type" in d
    )


def _expression(declaration: dict[str, Any]) -> str:
    """The aggregate of a feature over one user's or item's ratings."""
    if "sql" in declaration:
        return str(declaration["sql"])
    statistic = sql.load(f"statistics/{declaration['statistic']}")
    days = declaration.get("window_days")
    window = "" if days is None else f" filter (age_days <= {days})"
    return statistic.format(window=window, **declaration)
