r"""Nothing after as_of reaches a release: publish, append the future, publish again as of the same moment.

    MATINEE_SOURCE=path/to/ml-1m python -m benchmarks.leakage \
        [--as-of 2003-01-01T00:00:00] [--set KEY=VALUE]...

Ingests a source in the ``::`` layout up to --as-of, runs the nightly flow, ingests the rest, runs it again
and compares every computed table row by row. Exits with 1 if one differs.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import configuration
from benchmarks.commands import nightly
from benchmarks.same_release import differences, print_differences
from benchmarks.server import server
from tasks import settings
from warehouse.releases import serving


def main(arguments: Sequence[str] | None = None) -> None:
    """Run twice and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--as-of", default="2003-01-01T00:00:00")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    configuration.load(options.set)
    source = settings.source()
    if source is None:
        sys.exit("set MATINEE_SOURCE to a folder in the ml-1m layout")
    with tempfile.TemporaryDirectory() as folder, server(Path(folder, "prefect")):
        home = Path(folder, "home")
        os.environ |= {"MATINEE_HOME": str(home), "MATINEE_SOURCE": ""}
        parts = split(Path(source), options.as_of, Path(folder))
        before, after = (publish(part, options.as_of, options.set, home) for part in parts)
        found = differences(before, after)
    print_differences(found)
    leaked = [row.table for row in found if row.lost or row.gained]
    print("different: " + ", ".join(leaked) if leaked else "every row of every table is identical")
    sys.exit(1 if leaked else 0)


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


def publish(part: Path, as_of: str, overrides: list[str], home: Path) -> Path:
    """The file of a release made after ingesting the part."""
    nightly(overrides, source=str(part), as_of=as_of, mode="cold")
    return serving.current_file(home).resolve()


if __name__ == "__main__":
    main()
