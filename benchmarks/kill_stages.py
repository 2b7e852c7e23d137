"""kill -9 in the middle of every stage of the nightly flow, then a rerun.

    python -m benchmarks.kill_stages [--source synthetic:0.1]

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
from pathlib import Path

import duckdb

from tasks import settings
from warehouse.events import log as event_log
from warehouse.releases import serving

MATINEE = str(Path(sys.executable).with_name("matinee"))
INTO_THE_NEXT_STAGE = 0.2
"""Seconds after a stage's line is printed, when the next one is under way."""


def main() -> None:
    """Kill after each line that the command prints, until it prints no new one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default=settings.source() or "synthetic:0.1")
    source = parser.parse_args().source
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ |= {"MATINEE_HOME": folder, "MATINEE_SOURCE": source}
        n_stages = kill_first_ingest_then_publish(home)
        before = facts(home)
        for stage in range(1, n_stages):
            name = killed_after(stage)
            same = facts(home) == before
            print(f"killed after '{name}': {'the old release is whole' if same else 'BROKEN'}", flush=True)
            if not same:
                sys.exit(1)
        subprocess.run([MATINEE, "nightly"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        events, users, lists, _ = facts(home)
        leftovers = [f.name for f in (home / "runs").glob("[!.]*") if not (f / "manifest.json").exists()]
        print(f"rerun: {events:,} ratings, {lists:,} rows for {users:,} users; left over: {leftovers or 0}")
        sys.exit(0 if (events, users, lists) == before[:3] and not leftovers else 1)


def kill_first_ingest_then_publish(home: Path) -> int:
    """Kill the very first run while it ingests, then let one finish; returns how many stages it printed."""
    killed_after(1)
    print(f"killed in the first ingest: {len(event_log.batches(home))} batches logged", flush=True)
    done = subprocess.run([MATINEE, "nightly"], check=True, capture_output=True, text=True)
    return len(done.stderr.splitlines())


def killed_after(stage: int) -> str:
    """Start a run, kill it with all its children shortly after the given line; returns that line's stage."""
    process = subprocess.Popen(
        [MATINEE, "nightly"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    line = [process.stderr.readline() for _ in range(stage)][-1]
    time.sleep(INTO_THE_NEXT_STAGE)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return line[10:32].strip()


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
