"""Nothing after as_of reaches a release: publish, append the future, publish again as of the same moment.

    MATINEE_SOURCE=path/to/ml-1m python -m benchmarks.leakage [--as-of 2003-01-01T00:00:00]

Ingests a source in the ``::`` layout up to --as-of, runs the nightly flow, ingests the rest, runs it again
and compares every computed table row by row. Exits with 1 if one differs.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from tasks import settings

MATINEE = str(Path(sys.executable).with_name("matinee"))

TABLES = {
    "recommendations": "* exclude (release_id)",
    "default_recommendations": "*",
    "users": "*",
    "items": "*",
    "user_features": "*",
    "item_features": "*",
    "item_similarity": "*",
    "item_embeddings": "*",
    "user_embeddings": "*",
}


def main() -> None:
    """Run twice and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--as-of", default="2003-01-01T00:00:00")
    as_of = parser.parse_args().as_of
    source = settings.source()
    if source is None:
        sys.exit("set MATINEE_SOURCE to a folder in the ml-1m layout")
    with tempfile.TemporaryDirectory() as folder:
        parts = split(Path(source), as_of, Path(folder))
        os.environ |= {"MATINEE_HOME": f"{folder}/home", "MATINEE_SOURCE": ""}
        files = [publish(part, as_of, Path(folder) / "home") for part in parts]
        different = [table for table, columns in TABLES.items() if differs(*files, table, columns)]
    print("different: " + ", ".join(different) if different else "every row of every table is identical")
    sys.exit(1 if different else 0)


def split(source: Path, as_of: str, folder: Path) -> tuple[Path, Path]:
    """Two sources: the ratings before the moment, and those from it on."""
    moment = int(datetime.fromisoformat(as_of).replace(tzinfo=UTC).timestamp())
    parts = folder / "past", folder / "future"
    for part in parts:
        part.mkdir()
        for name in ("users.dat", "movies.dat"):
            shutil.copy(source / name, part)
    past, future = (part / "ratings.dat" for part in parts)
    with (source / "ratings.dat").open("rb") as lines, past.open("wb") as before, future.open("wb") as after:
        for line in lines:
            (before if int(line.rsplit(b"::", 1)[1]) < moment else after).write(line)
    return parts


def publish(part: Path, as_of: str, home: Path) -> str:
    """The file of a release made after ingesting the part."""
    command = [MATINEE, "nightly", "--mode", "cold", "--source", str(part), "--as-of", as_of]
    subprocess.run(command, check=True)
    return str((home / "serving" / "current.duckdb").resolve())


def differs(one: str, other: str, table: str, columns: str) -> bool:
    """Whether a table has a row in one release that the other has not."""
    with duckdb.connect() as con:
        con.execute(f"attach '{one}' as one (read_only)")
        con.execute(f"attach '{other}' as other (read_only)")
        pairs = ("one", "other"), ("other", "one")
        rows = [
            con.execute(
                f"select count(*) from (select {columns} from {a}.{table} except all "
                f"select {columns} from {b}.{table})"
            ).fetchall()[0][0]
            for a, b in pairs
        ]
        print(f"{table:<26}{rows[0]:>10,} and {rows[1]:,} rows that the other has not")
        return any(rows)


if __name__ == "__main__":
    main()
