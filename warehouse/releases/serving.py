"""Releases: one complete, immutable DuckDB file each, and the link ``current.duckdb`` that readers open.

Publication builds a new file beside the old one, validates it, makes it durable and swaps the link in one
atomic step: a reader sees the old release or the new one, never half of either, and keeps what it opened.
``journal.jsonl`` lists every publication and every rollback in order; it is the memory that files which
retention removed no longer hold.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from filelock import FileLock

from warehouse import sql
from warehouse.errors import LostRace, MatineeError
from warehouse.runs import run as runs
from warehouse.runs import snapshot
from warehouse.runs.run import Json, Run

SCHEMA_VERSION = 1
"""Raised whenever a serving table changes its columns."""

OF_FULL_RUNS = ("item_similarity",)
"""Tables that an incremental release takes from its parent as they are: most of a file."""

KEPT = ("metrics",)
"""Tables that an incremental release adds to: what is known of the ranker is in the full release's rows."""

STORAGE_VERSION = "v1.2.0"
"""The oldest DuckDB file format that has all we need: clients from 1.2 on open the files."""


def current_file(home: Path) -> Path:
    """The link that readers open. Raises MatineeError while nothing is published."""
    link = home / "serving" / "current.duckdb"
    if not link.exists():
        raise MatineeError(f"nothing is published in {home}: run `matinee nightly` first")
    return link


def current_release(home: Path) -> str | None:
    """The id of the published release, or None."""
    link = home / "serving" / "current.duckdb"
    return release_of(link.readlink()) if link.is_symlink() else None


def release_of(file: Path) -> str:
    """The release id in the name of a serving file."""
    return file.name.removeprefix("recs-").removesuffix(".duckdb")


def serving_file(home: Path, release: str) -> Path:
    """The file of a release, kept or not."""
    return home / "serving" / f"recs-{release}.duckdb"


def journal(home: Path) -> list[Json]:
    """Every publication and rollback, oldest first."""
    file = home / "serving" / "journal.jsonl"
    if not file.exists():
        return []
    # A kill in the middle of an append leaves a last line without its end: it never took effect.
    whole_lines = file.read_text().split("\n")[:-1]
    return [json.loads(line) for line in whole_lines if line]


def publish(run: Run, top_n: int, keep: int) -> Json:
    """Build, validate and publish the release of a run, then forget all but the last ``keep``.

    Users whom incremental releases refreshed while a full run computed keep those rows: they know more.
    Returns rows by table. Raises, with what is published unchanged, LostRace if anything was published or
    rolled back since an incremental run began, and MatineeError if a check fails or if somebody rolled
    back since a full run began.
    """
    with _publishing(run.home):
        meanwhile = journal(run.home)[run.journal_length :]
        _check_race(run, meanwhile)
        building = run.home / "serving" / f".building-{run.id}.duckdb"
        try:
            rows = _build(run, building, meanwhile, top_n)
            _validate(run, building, top_n)
            _sync(building)
            os.replace(building, serving_file(run.home, run.id))
        finally:
            building.unlink(missing_ok=True)
            Path(f"{building}.wal").unlink(missing_ok=True)
        previous = current_release(run.home)
        _append(run.home, {"action": "publish", "previous": previous, **_release_row(run)})
        _point(run.home, run.id)
        _forget(run.home, keep)
    return rows


def _check_race(run: Run, meanwhile: list[Json]) -> None:
    now = current_release(run.home)
    if meanwhile and run.kind == "incremental":
        raise LostRace(f"release {now} was published while this run computed from {run.parent_id}")
    if any(entry["action"] == "rollback" for entry in meanwhile):
        raise MatineeError(
            f"somebody rolled back to {now} while this run computed: "
            "nothing is published; look at `matinee releases`, then run again"
        )


def rollback(home: Path, release: str | None = None) -> str:
    """Make an earlier release current again: the one named, or the one that was current before this one.

    Returns its id. Raises MatineeError if there is none or its file is no longer kept.
    """
    with _publishing(home):
        now = current_release(home)
        target = release or _previous(home, now)
        if target is None:
            raise MatineeError("there is no earlier release to go back to: see `matinee releases`")
        if not serving_file(home, target).exists():
            kept = ", ".join(kept_releases(home)) or "none"
            raise MatineeError(f"release {target} is not kept here; kept are: {kept}")
        _append(home, {"action": "rollback", "release_id": target, "from": now, "at": runs.utc_now()})
        _point(home, target)
    return target


def kept_releases(home: Path) -> list[str]:
    """The releases whose files are still here, oldest first."""
    return sorted(release_of(file) for file in (home / "serving").glob("recs-*.duckdb"))


def releases(home: Path) -> list[Json]:
    """All releases ever published, newest first, with ``current`` and ``kept``."""
    kept, current = set(kept_releases(home)), current_release(home)
    rows = [
        {**_public(entry), "current": entry["release_id"] == current, "kept": entry["release_id"] in kept}
        for entry in journal(home)
        if entry["action"] == "publish"
    ]
    return rows[::-1]


def newest_full(home: Path, as_of: datetime) -> str | None:
    """The kept full release with the newest ``as_of`` at or before the given one, if any."""
    candidates = [
        (datetime.fromisoformat(row["as_of"]), row["created_at"], row["release_id"])
        for row in releases(home)
        if row["kind"] == "full" and row["kept"]
    ]
    return max((c for c in candidates if c[0] <= as_of), default=(None, None, None))[2]


@contextmanager
def _publishing(home: Path) -> Iterator[None]:
    folder = home / "serving"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".publish.lock"):
        # What a killed publication left half-built; nobody else is building while we hold the lock.
        for stale in folder.glob(".building-*"):
            stale.unlink()
        yield


def _build(run: Run, file: Path, meanwhile: list[Json], top_n: int) -> Json:
    incremental = run.kind == "incremental"
    if incremental:
        shutil.copyfile(serving_file(run.home, runs.parent(run).id), file)
    with duckdb.connect(str(file), config={"storage_compatibility_version": STORAGE_VERSION}) as con:
        con.begin()
        for table in _tables(con):
            if not incremental or table not in (*OF_FULL_RUNS, *KEPT):
                con.execute(f"drop table {table}")
        con.execute(sql.load("serving/schema"))
        for table in ("items", "users"):
            con.execute(f"insert into {table} by name from read_parquet($f)", {"f": _path(run, table)})
        for table in ("user_features", "item_features"):
            con.execute(f"create table {table} as from read_parquet($f)", {"f": _path(run, table)})
        for name in ("recommended", "segments", "user_features"):
            con.execute(f"set variable {name}_file = $f", {"f": _path(run, name)})
        _set_carried(con, run, meanwhile, top_n)
        for table in ("recommendations", "default_recommendations"):
            con.execute(f"insert into {table} {sql.load(f'serving/{table}')}")
        for table in ("item_similarity", "item_embeddings", "user_embeddings", "metrics", "lineage"):
            files = sorted(str(file) for file in run.folder.glob(f"{table}/*.parquet"))
            if files and not (incremental and table in OF_FULL_RUNS):
                con.execute(f"insert into {table} by name from read_parquet($files)", {"files": files})
        _insert_releases(con, run)
        con.commit()
        con.execute("checkpoint")
        return _rows(con)


def _set_carried(con: duckdb.DuckDBPyConnection, run: Run, meanwhile: list[Json], top_n: int) -> None:
    """Tell the SQL of recommendations from where to carry over rows that releases in between computed."""
    incremental = [entry["release_id"] for entry in meanwhile if entry["kind"] == "incremental"]
    # The newest of them holds the rows of all: each carries over what the one before it computed.
    source = runs.read(run.home, incremental[-1]) if incremental else run
    con.execute("set variable carried_file = $f", {"f": _path(source, "recommended")})
    con.execute("set variable carried_releases = $ids::varchar[]", {"ids": incremental})
    con.execute("set variable top_n = $n", {"n": top_n})


def _path(run: Run, table: str) -> str:
    return str(run.file(f"{table}.parquet"))


def _insert_releases(con: duckdb.DuckDBPyConnection, run: Run) -> None:
    earlier = [_public(entry) for entry in journal(run.home) if entry["action"] == "publish"]
    rows = [*earlier, _public(_release_row(run))]
    frame = pl.DataFrame(rows, schema_overrides={"parent_id": pl.String}, infer_schema_length=None)
    con.register("release_rows", frame)
    con.execute("insert into releases by name from release_rows")
    con.unregister("release_rows")


def _rows(con: duckdb.DuckDBPyConnection) -> Json:
    return {table: con.execute(f"select count(*) from {table}").fetchall()[0][0] for table in _tables(con)}


def _tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    return [name for (name,) in con.execute("select table_name from duckdb_tables() order by 1").fetchall()]


def _release_row(run: Run) -> Json:
    manifest = runs.manifest(run.home, run.id)
    return {
        "release_id": run.id,
        "kind": run.kind,
        "parent_id": run.parent_id,
        "as_of": run.as_of.isoformat(),
        "created_at": run.created_at.isoformat(),
        "n_events": manifest["n_events"],
        "config": json.dumps(run.config, sort_keys=True),
        "code_version": run.code_version,
        "source": run.source,
        "schema_version": SCHEMA_VERSION,
    }


def _public(entry: Json) -> Json:
    return {name: value for name, value in entry.items() if name not in ("action", "previous")}


def _validate(run: Run, file: Path, top_n: int) -> None:
    """Reopen the closed file as a reader would and look for rows that break a check."""
    with snapshot.connect(run) as con:
        con.execute(f"attach '{str(file).replace(chr(39), chr(39) * 2)}' as release (read_only)")
        con.execute("set variable top_n = $n", {"n": top_n})
        con.execute("set search_path = 'release,memory,temp'")
        for check in sql.names("checks"):
            broken = con.execute(f"select * from ({sql.load(check)}) limit 3").fetchall()
            if broken:
                rule = check.removeprefix("checks/").replace("_", " ")
                raise MatineeError(f"the new release is not published: '{rule}' fails, e.g. for {broken}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _point(home: Path, release: str) -> None:
    folder = home / "serving"
    link = folder / ".next.duckdb"
    link.unlink(missing_ok=True)
    link.symlink_to(serving_file(home, release).name)
    os.replace(link, folder / "current.duckdb")
    _sync(folder)


def _append(home: Path, entry: dict[str, Any]) -> None:
    file = home / "serving" / "journal.jsonl"
    whole = file.read_bytes() if file.exists() else b""
    with file.open("ab") as stream:
        # Cut off what a killed writer left behind the last complete line.
        stream.truncate(whole.rfind(b"\n") + 1)
        stream.write(json.dumps(entry, default=str).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def _previous(home: Path, release: str | None) -> str | None:
    """The release that was current when ``release`` was published, back to one that is kept."""
    previous: dict[str, str | None] = {
        entry["release_id"]: entry["previous"] for entry in journal(home) if entry["action"] == "publish"
    }
    earlier = previous.get(release) if release else None
    while earlier is not None and not serving_file(home, earlier).exists():
        earlier = previous.get(earlier)
    return earlier


def _forget(home: Path, keep: int) -> None:
    """Keep the newest ``keep`` releases, the current one and the newest full one, with their runs."""
    kept = [row for row in releases(home) if row["kept"]]
    newest = [row["release_id"] for row in kept][:keep]
    newest_full = [row["release_id"] for row in kept if row["kind"] == "full"][:1]
    stay = {*newest, *newest_full, current_release(home) or ""}
    for release in kept_releases(home):
        if release not in stay:
            serving_file(home, release).unlink()
    runs.sweep(home, keep=stay)
