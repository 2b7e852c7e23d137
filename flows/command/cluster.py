"""A Dask scheduler and its workers on this machine, in the foreground: ``make cluster``."""

import argparse
import os
import signal
import sys
import threading

# Each worker is one process of one thread: read when the workers' libraries load.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

from distributed import LocalCluster

from flows.command.screens.terminal import out

PORT = 8786


def main() -> None:
    """Start scheduler and workers, wait for Ctrl-C or a termination signal, stop them."""
    parser = argparse.ArgumentParser(prog="make cluster", description=__doc__)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="Processes of one thread.")
    parser.add_argument("--memory", default="auto", help="Memory of a worker, such as 3GiB.")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        cluster = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=options.workers,
            threads_per_worker=1,
            memory_limit=options.memory,
            scheduler_port=PORT,
            dashboard_address=None,
        )
    except (OSError, RuntimeError) as error:
        sys.exit(f"matinee: the scheduler did not start on port {PORT}: is it free? ({error})")
    with cluster:
        out.print(f"\n[bold]{options.workers} workers at {cluster.scheduler_address}[/]   Ctrl-C stops them")
        out.print(f"Runs use them with: --set engine.address={cluster.scheduler_address}", soft_wrap=True)
        stop.wait()


if __name__ == "__main__":
    main()
