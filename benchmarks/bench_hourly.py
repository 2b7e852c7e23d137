"""The hourly flow from the command line against a running Prefect server: wall seconds, and of each step.

    MATINEE_SOURCE=path/to/ml-1m python -m benchmarks.bench_hourly [--events 500]

A nightly run learns the log but for twice as many of its newest events; one hourly run then learns half of
those, which also compiles what is yet to be compiled, and the hourly run that is measured learns the rest.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import duckdb
import httpx

from benchmarks.steps import print_steps

BIN = Path(sys.executable).parent


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=500, help="new events of the hour")
    n_events = parser.parse_args().events
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        port = _free_port()
        os.environ |= {
            "MATINEE_HOME": folder,
            "PREFECT_HOME": f"{folder}/prefect",
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
        command = [BIN / "prefect", "server", "start", "--port", str(port)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(port)
            _matinee("ingest", os.environ.pop("MATINEE_SOURCE"))
            _matinee("nightly", "--as-of", _moment(home, 2 * n_events).isoformat())
            _matinee("hourly", "--as-of", _moment(home, n_events).isoformat())
            wall = _matinee("hourly")
            flow = _newest_flow_run(port)
        finally:
            server.terminate()
            server.wait()
        print_steps(home)
        print(f"{'the flow run':<28}{n_events:>12,} new  {flow:>8.1f} s, as Prefect says")
        print(f"{'the command, wall':<28}{n_events:>12,} new  {wall:>8.1f} s, with imports")


def _matinee(*words: str) -> float:
    started = time.perf_counter()
    subprocess.run([BIN / "matinee", *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _newest_flow_run(port: int) -> float:
    """The seconds from its start to its end."""
    newest = {"sort": "START_TIME_DESC", "limit": 1}
    runs = httpx.post(f"http://127.0.0.1:{port}/api/flow_runs/filter", json=newest).raise_for_status().json()
    return float(runs[0]["total_run_time"])


def _moment(home: Path, n: int) -> datetime:
    """The time of the n-th newest event."""
    query = "select event_at from read_parquet($files) order by event_at desc offset $n limit 1"
    parameters = {"files": str(home / "events" / "*.parquet"), "n": n - 1}
    moment: datetime = duckdb.execute(query, parameters).fetchall()[0][0]
    return moment


def _wait(port: int) -> None:
    for _ in range(240):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=1).is_success:
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
