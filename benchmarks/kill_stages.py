"""kill -9 in the middle of every stage of the nightly flow, then a rerun.

    python -m benchmarks.kill_stages [--source synthetic:0.1] [--after STAGE,STAGE] [--set KEY=VALUE]...

After each kill the published table must be the whole old release; in the end a rerun must succeed, with every
rating counted once. Prints a line a stage and exits with 1 if anything is off.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from benchmarks import configuration
from benchmarks.commands import MATINEE, nightly, set_options
from benchmarks.server import server
from tasks import settings
from warehouse.events import log as event_log
from warehouse.releases import queries, serving

INTO_THE_NEXT_STAGE = 0.2
"""Seconds after a stage's line is printed, when the next one is under way."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill the very first run while it ingests, publish, then kill a run after each stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--source", default=settings.source() or "synthetic:0.1")
    parser.add_argument("--after", metavar="STAGE,STAGE", help="stages after which to kill; default: all")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    configuration.load(options.set)
    with tempfile.TemporaryDirectory() as folder, server(Path(folder, "prefect")):
        home = Path(folder, "home")
        os.environ |= {"MATINEE_HOME": str(home), "MATINEE_SOURCE": options.source}
        killed_when(lambda process: home.exists(), options.set)
        print(f"killed in the first ingest: {len(event_log.batches(home))} batches logged", flush=True)
        nightly(options.set)
        before = facts(home)
        stages = [step["step"] for step in queries.lineage(home)]
        for stage in options.after.split(",") if options.after else stages:
            killed_when(line_of(stage), options.set, INTO_THE_NEXT_STAGE)
            same = facts(home) == before
            print(f"killed after '{stage}': {'the old release is whole' if same else 'BROKEN'}", flush=True)
            if not same:
                sys.exit(1)
        nightly(options.set)
        events, users, lists, _ = facts(home)
        left = [f.name for f in (home / "runs").glob("[!.]*") if not (f / "manifest.json").exists()]
        print(f"rerun: {events:,} ratings, {lists:,} rows for {users:,} users; left over: {left or 0}")
        sys.exit(0 if (events, users, lists) == before[:3] and not left else 1)


def line_of(stage: str) -> Callable[["subprocess.Popen[str]"], bool]:
    """Whether the next line that a run prints is that of a stage."""

    def is_next(process: "subprocess.Popen[str]") -> bool:
        assert process.stderr is not None
        return process.stderr.readline()[10:32].strip() == stage

    return is_next


def killed_when(
    condition: Callable[["subprocess.Popen[str]"], bool], settings: list[str], seconds: float = 0.0
) -> None:
    """Start a run, and kill it with all its children some seconds after the condition has come true."""
    process = subprocess.Popen(
        [MATINEE, "nightly", *set_options(settings)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    while not condition(process):
        if process.poll() is not None:
            sys.exit("the run ended before it could be killed")
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def facts(home: Path) -> tuple[int, int, int, str | None]:
    """Ratings counted, users, recommendations and the id of the published release."""
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        query = """
            select
                (select sum(n_ratings) from user_features)::bigint,
                (select count(*) from users),
                (select count(*) from recommendations)
        """
        events, users, lists = con.execute(query).fetchall()[0]
    return events, users, lists, serving.current_release(home)


if __name__ == "__main__":
    main()
