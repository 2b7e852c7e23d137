"""The published features of users and items as of a run, from their declarations.

A declaration names a statistic of ratings, whose SQL is ``warehouse/sql/statistics/NAME.sql``, or has its
own ``sql``. Models have the same statistics, compiled, for any moment.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from warehouse import sql
from warehouse.atomic import replacing
from warehouse.errors import MatineeError
from warehouse.runs import files, snapshot
from warehouse.runs.run import Run
from warehouse.runs.snapshot import Snapshot

Declarations = list[dict[str, Any]]
"""The blocks of features.toml under one heading."""

Ids = slice | NDArray[np.int64]
"""Dense indices of users or items."""

RANGE = 1_000_000
"""Events, about, of the users or items whose features are computed at a time, by one thread."""

MEANINGS = "feature_meanings"
"""Table of a run: what the published features mean."""

NEEDED = {
    "user": ("n_ratings", "rating_mean", "top_genres", "first_event_at", "last_event_at"),
    "item": ("n_ratings", "age_days"),
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
    """Write the snapshot of the run, and the features of its users and items; returns the rows by table.

    ``features`` is the content of ``features.toml``: of the declarations under ``user`` and ``item`` those
    with a type are published. One thread adds up what there is of one user or item, in the order of the
    log: the same bits for any number of threads. Ranges of users and items are computed side by side.
    An incremental run computes those of users and items with new events; of all others it has what its parent
    has, as of then.

    Raises:
        MatineeError: no event is before ``as_of``, or the SQL of a feature fails.
    """
    log = snapshot.write(run)
    rows = {"events": len(log.events["at"]), "users": log.users.height, "items": log.items.height}
    if rows["events"] == 0:
        raise MatineeError(f"no rating is before {run.as_of}: choose a later --as-of")
    for side in ("user", "item"):
        try:
            table = _features(run, log, side, _columns(features[side]))
        except duckdb.Error as error:
            raise MatineeError(f"features of {side}s: {str(error).splitlines()[0]}") from None
        with replacing(run.file(f"{side}_features.parquet")) as temporary, duckdb.connect() as con:
            con.register("features", table)
            sql.copy(con, "features", temporary)
        rows[f"{side}_features"] = table.num_rows
    files.write_table(run, MEANINGS, _meanings(features))
    return rows


def _meanings(features: Mapping[str, Declarations]) -> pl.DataFrame:
    """table, column, about: what the columns of the tables of features mean."""
    rows = [
        (f"{side}_features", declared["name"], declared.get("about", ""))
        for side in ("user", "item")
        for declared in ({"name": f"{side}_id", "about": f"id of the {side}"}, *features[side])
        if "type" in declared or declared["name"] == f"{side}_id"
    ]
    return pl.DataFrame(rows, schema=["table", "column", "about"], orient="row")


def _features(run: Run, log: Snapshot, side: str, columns: str) -> pa.Table:
    """The features of all users or items, by id."""
    if run.kind == "full":
        return _computed(run, log, side, columns, None)
    parent = run.parent()
    carried = parent.file(f"{side}_features.parquet")
    targets = log.users if side == "user" else log.items
    is_refreshed = ~np.isin(targets[f"{side}_id"], pl.read_parquet(carried, columns=[f"{side}_id"]))
    is_refreshed[log.events[f"{side}_idx"][snapshot.new_rows(log.events, parent)]] = True
    with duckdb.connect() as con:
        con.register("refreshed", _computed(run, log, side, columns, np.flatnonzero(is_refreshed)))
        sql.set_variables(con, carried_file=str(carried))
        return con.sql(sql.load("run/carried_features").format(side=side)).to_arrow_table()


def _computed(run: Run, log: Snapshot, side: str, columns: str, some: NDArray[np.int64] | None) -> pa.Table:
    """The features of some users or items, ascending, or of all, by id."""
    counts = {"user": _user_counts(log), "item": _item_counts(log)}
    frames = {
        "items": log.items,
        "rated_items": log.items.select("item_id", n=counts["item"]),
        "overall": _overall(log, counts["user"]),
    }
    of_range = partial(_of_range, run, log, side, columns, frames)
    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        return pa.concat_tables(threads.map(of_range, _ranges(counts[side]) if some is None else [some]))


def _of_range(
    run: Run, log: Snapshot, side: str, columns: str, frames: dict[str, pl.DataFrame], ids: Ids
) -> pa.Table:
    """The features of the users or items whose dense indices are ``ids``."""
    targets = log.users if side == "user" else log.items
    name = ids.start if isinstance(ids, slice) else "some"
    with sql.bounded(run.file(f".duckdb-{side}-{name}"), threads=1) as con:
        sql.set_variables(con, as_of=run.as_of)
        events = _events_of(log, side, ids)
        for name, frame in {**frames, "events": events, "targets": targets[ids]}.items():
            con.register(name, frame)
        if side == "user":
            con.execute(sql.load("run/top_genres"))
        return con.sql(sql.load(f"run/{side}_features").format(features=columns)).to_arrow_table()


def _events_of(log: Snapshot, side: str, ids: Ids) -> pa.Table:
    """user_id, item_id, rating, event_at of the events of some users or items, in order."""
    events = log.events
    index = events[f"{side}_idx"]
    rows: slice | NDArray[np.int64]
    if isinstance(ids, slice) and side == "user":
        rows = slice(*np.searchsorted(index, [ids.start, ids.stop]))
    elif isinstance(ids, slice):
        rows = np.flatnonzero((index >= ids.start) & (index < ids.stop))
    else:
        is_chosen = np.zeros(len(log.users if side == "user" else log.items), dtype=np.bool_)
        is_chosen[ids] = True
        rows = np.flatnonzero(is_chosen[index])
    return pa.table(
        {
            "user_id": log.users["user_id"].to_numpy()[events["user_idx"][rows]],
            "item_id": log.items["item_id"].to_numpy()[events["item_idx"][rows]],
            "rating": events["rating"][rows],
            "event_at": (events["at"][rows] * 1_000_000).view("datetime64[us]"),
        }
    )


def _ranges(counts: NDArray[np.int64]) -> list[slice]:
    """The ids of users or items, by the events of each, cut where about RANGE events are together."""
    before = np.cumsum(counts) - counts
    starts = np.flatnonzero(np.diff(before // RANGE, prepend=-1))
    return [slice(*cut) for cut in zip(starts.tolist(), [*starts[1:].tolist(), len(counts)], strict=True)]


def _user_counts(log: Snapshot) -> NDArray[np.int64]:
    """(U,) events of each user."""
    return np.diff(np.searchsorted(log.events["user_idx"], np.arange(log.users.height + 1)))


def _item_counts(log: Snapshot) -> NDArray[np.int64]:
    """(I,) events of each item."""
    counts = np.zeros(log.items.height, dtype=np.int64)
    # Block by block: numpy counts what it has copied.
    for start in range(0, len(log.events["item_idx"]), RANGE):
        counts += np.bincount(log.events["item_idx"][start : start + RANGE], minlength=len(counts))
    return counts


def _overall(log: Snapshot, user_counts: NDArray[np.int64]) -> pl.DataFrame:
    """One row: mean of all ratings, number of users with ratings."""
    # Ratings have 24 binary digits after the point and are at most 5: a float64 adds up 10^8 of them exactly.
    mean = log.events["rating"].sum(dtype=np.float64) / len(log.events["rating"])
    return pl.DataFrame({"mean": [mean], "n_users": [np.count_nonzero(user_counts)]})


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
