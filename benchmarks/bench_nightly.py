r"""The whole nightly flow from the command line, Prefect's start included: wall seconds and peak memory.

    MATINEE_SOURCE=path/to/ml-1m python -m benchmarks.bench_nightly \
        [--as-of 2003-01-01T00:00:00Z] [--set KEY=VALUE]...

Runs ``matinee nightly`` in an empty home, then prints the seconds of each step and the totals, and, where the
log goes on after --as-of, the pooled recall@50 of the published table on those later events.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb
import psutil

from benchmarks import configuration
from benchmarks.commands import MATINEE, set_options
from benchmarks.steps import print_steps

HITS = """
with
later as (
    select distinct user_id, item_id
    from read_parquet($events) as log
    where event_at >= $as_of::timestamp
        and exists (
            select 1 from read_parquet($events) as past
            where past.user_id = log.user_id and past.event_at < $as_of::timestamp
        )
)
select count(*) filter (where rank <= 50), count(*), count(distinct later.user_id)
from later
left join recommendations using (user_id, item_id)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--as-of", default=None, help="ISO 8601; default: the newest event")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    configuration.load(options.set)
    as_of = options.as_of
    with tempfile.TemporaryDirectory() as folder:
        run_nightly(["--as-of", as_of] if as_of else [], options.set, Path(folder))
        if as_of:
            print_recall(Path(folder), as_of)


def run_nightly(options: list[str], settings: list[str], home: Path) -> None:
    """Run ``matinee nightly``; print seconds and memory of each step and of the whole command."""
    seconds, peak = timed([MATINEE, "nightly", *options, *set_options(settings)], home)
    print_steps(home)
    print(f"{'the command, wall':<28}{seconds:>26.1f} s {peak / 2**20:>8.0f} MiB (all processes)")


def print_recall(home: Path, as_of: str) -> None:
    """Print the recall of the published table on the events from ``as_of`` on, if there are any."""
    parameters = {"events": str(home / "events" / "*.parquet"), "as_of": as_of.removesuffix("Z")}
    with duckdb.connect(str(home / "serving" / "current.duckdb"), read_only=True) as con:
        hits, n, users = con.execute(HITS, parameters).fetchall()[0]
    if n:
        print(f"pooled recall@50 {hits / n:.4f} ({hits:,} of {n:,} later events, {users:,} users)")


def timed(command: list[str], home: Path) -> tuple[float, int]:
    """Wall seconds and the peak resident bytes of the command and all its children."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "MATINEE_HOME": str(home)})
    peak = 0

    def watch() -> None:
        nonlocal peak
        me = psutil.Process(process.pid)
        while process.poll() is None:
            total = 0
            try:
                for part in [me, *me.children(recursive=True)]:
                    total += part.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            peak = max(peak, total)
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    if process.wait() != 0:
        sys.exit("the nightly flow failed")
    watcher.join()
    return time.perf_counter() - start, peak


if __name__ == "__main__":
    main()
