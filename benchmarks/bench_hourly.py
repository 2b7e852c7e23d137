"""The hourly flow from the command line against a running Prefect server: wall seconds, and of each step.

    MATINEE_SOURCE=path/to/ml-1m python -m benchmarks.bench_hourly [--events 500] [--set KEY=VALUE]...

A nightly run learns the log but for twice as many of its newest events; one hourly run then learns half of
those, which also compiles what is yet to be compiled, and the hourly run that is measured learns the rest.
The server is that of PREFECT_API_URL, else one of this benchmark's own.
"""

import argparse
import os
import subprocess
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import httpx

from benchmarks import configuration
from benchmarks.commands import MATINEE, hourly, nightly
from benchmarks.home import filled_home
from benchmarks.steps import print_steps


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=500, help="new events of the hour")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    configuration.load(options.set)
    n_events = options.events
    with filled_home() as home:
        nightly(options.set, as_of=moment(home, 2 * n_events).isoformat())
        hourly(moment(home, n_events).isoformat())
        started = time.perf_counter()
        subprocess.run([MATINEE, "hourly"], check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - started
        in_flow = newest_run(os.environ["PREFECT_API_URL"])
        print_steps(home)
        print(f"{'the flow run':<28}{n_events:>12,} new  {in_flow:>8.1f} s, by Prefect's clock")
        print(f"{'the command, wall':<28}{n_events:>12,} new  {wall:>8.1f} s, with imports")


def newest_run(api: str) -> float:
    """Seconds of the newest flow run, from its start to its end."""
    newest = {"sort": "START_TIME_DESC", "limit": 1}
    runs = httpx.post(f"{api}/flow_runs/filter", json=newest).raise_for_status().json()
    return float(runs[0]["total_run_time"])


def moment(home: Path, n: int) -> datetime:
    """The time of the n-th newest event."""
    query = "select event_at from read_parquet($files) order by event_at desc offset $n limit 1"
    parameters = {"files": str(home / "events" / "*.parquet"), "n": n - 1}
    found: datetime = duckdb.execute(query, parameters).fetchall()[0][0]
    return found


if __name__ == "__main__":
    main()
