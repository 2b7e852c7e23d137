"""The published features of users and items as of a run, from their declarations.

A declaration names a statistic of ratings, whose SQL is ``warehouse/sql/statistics/NAME.sql``, or has its
own ``sql``. Models have the same statistics, compiled, for any moment.
"""

from typing import Any

from warehouse import sql
from warehouse.atomic import replacing
from warehouse.errors import MatineeError
from warehouse.runs import snapshot
from warehouse.runs.run import Run

Declarations = list[dict[str, Any]]
"""The blocks of features.toml under one heading."""


def write(run: Run, features: dict[str, Declarations]) -> dict[str, int]:
    """Write users, items and their features into the run; returns the rows by table.

    ``features`` is the content of ``features.toml``: of the declarations under ``user`` and ``item`` those
    with a type are published.

    Raises:
        MatineeError: no event is before ``as_of``.
    """
    with snapshot.connect(run) as con:
        rows = {"events": sql.count(con, "events")}
        if rows["events"] == 0:
            raise MatineeError(f"no rating is before {run.as_of}: choose a later --as-of")
        # Threads would add up decayed counts in any order: the last bits would differ from run to run.
        con.execute("set threads = 1")
        con.execute(sql.load("run/top_genres"))
        con.execute(sql.load("run/user_features").format(features=_columns(features["user"])))
        con.execute(sql.load("run/item_features").format(features=_columns(features["item"])))
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
