"""The hourly flow from the command line against a running Prefect server: wall seconds, and of each step.

    MATINEE_SOURCE=path/to/ml-1m python -m benchmarks.bench_hourly [--events 500] [--set KEY=VALUE]...

A nightly run learns the log but for twice as many of its newest events; one hourly run then learns half of
those, which also compiles what is yet to be compiled, and the hourly run that is measured learns the rest.
The server is that of PREFECT_API_URL, else one of this benchmark's own.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import httpx

from benchmarks import configuration
from benchmarks.commands import MATINEE
from benchmarks.steps import print_steps
from flows.command import compute
from tasks import settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=500, help="new events of the hour")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    configuration.load(options.set)
    n_events, source = options.events, settings.source()
    if source is None:
        sys.exit("set MATINEE_SOURCE to a source")
    with tempfile.TemporaryDirectory() as folder, server(Path(folder, "prefect")) as api:
        home = Path(folder)
        os.environ |= {"MATINEE_HOME": folder, "PREFECT_API_URL": api}
        del os.environ["MATINEE_SOURCE"]
        compute.ingest(source)
        compute.nightly(as_of=moment(home, 2 * n_events).isoformat(), settings=options.set)
        compute.hourly(as_of=moment(home, n_events).isoformat())
        started = time.perf_counter()
        subprocess.run([MATINEE, "hourly"], check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - started
        print_steps(home)
        print(f"{'the flow run':<28}{n_events:>12,} new  {newest_run(api):>8.1f} s, by Prefect's clock")
        print(f"{'the command, wall':<28}{n_events:>12,} new  {wall:>8.1f} s, with imports")


@contextmanager
def server(home: Path) -> Iterator[str]:
    """The address of the API of a running Prefect server; one is started if the environment names none."""
    if "PREFECT_API_URL" in os.environ:
        yield os.environ["PREFECT_API_URL"]
        return
    os.environ |= {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    port = _free_port()
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        api = f"http://127.0.0.1:{port}/api"
        _wait(api)
        yield api
    finally:
        process.terminate()
        process.wait()


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


def _wait(api: str) -> None:
    for _ in range(240):
        try:
            if httpx.get(f"{api}/health", timeout=1).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    sys.exit("the Prefect server did not start")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


if __name__ == "__main__":
    main()
