"""Where work that is cut into shards is done: in this process, or on a standing Dask cluster.

A shard is a function of the run and a number. It reads what the run holds, writes files of its own and then,
last, its report: no report, no shard. So a shard may be done twice, by whom it may be, and a rerun does only
those that are missing. Results cannot depend on where or by how many it is done: a shard is a fixed part of
the work, and its matrix products take one thread.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tasks import config as configuration
from tasks.config import EngineConfig
from tasks.cost import Cost, Meter, RowCounts, trim_heap
from warehouse.errors import MatineeError
from warehouse.runs import files
from warehouse.runs.run import Run

logger = logging.getLogger("matinee")

ShardFunction = Callable[[Run, int], RowCounts]
"""Does a shard of a run, by its number, and returns the rows it wrote by table."""

Progress = Callable[[int], None]
"""Told how many shards are done."""

POLL = 5.0
"""Seconds between two looks at a cluster that finishes nothing."""


def shards(run: Run, n_rows: int) -> list[tuple[int, int]]:
    """The first and the last row (exclusive) of each shard of so many users; workers do not matter."""
    size = configuration.of(run).engine.shard_users
    return [(begin, min(begin + size, n_rows)) for begin in range(0, n_rows, size)]


def spread(work: ShardFunction, name: str, run: Run, n_shards: int, progress: Progress) -> RowCounts:
    """Do the shards of a step that are not done yet; returns the rows of all of them, by table.

    Raises:
        MatineeError: the cluster is not there, or lost the same shard again and again.
    """
    waiting = [number for number in range(n_shards) if not files.has_table(run, _report(name, number))]
    engine = configuration.of(run).engine
    do_all = _do_here if engine.address is None else _do_on_cluster
    done = n_shards - len(waiting)
    for _ in do_all(work, name, run, waiting, engine):
        done += 1
        progress(done)
    counts = reports(run, name)["rows"].struct.unnest().sum() if n_shards else pl.DataFrame()
    return {table: int(counts[table].item()) for table in counts.columns}


def reports(run: Run, name: str) -> pl.DataFrame:
    """shard, worker, seconds, cpu_seconds, peak_memory_mb, rows (a struct by table) of the shards done."""
    found = sorted(run.folder.glob(f"shards/{name}/*.parquet"))
    return pl.concat([pl.read_parquet(file) for file in found]) if found else pl.DataFrame()


def total(run: Run, name: str, cost: Cost) -> dict[str, Any]:
    """Columns of lineage: the cost of a step with that of its shards, wherever they were done."""
    found = reports(run, name)
    if found.is_empty():
        shards, workers, elsewhere = None, None, pl.DataFrame({"cpu_seconds": [0.0], "peak_memory_mb": [0.0]})
    else:
        shards, workers = found.height, found["worker"].n_unique()
        elsewhere = found.filter(pl.col("worker") != _me())
    peak = max(cost.peak_bytes / 2**20, *elsewhere["peak_memory_mb"], 0.0)
    return {
        "peak_memory_mb": round(peak, 1),
        "cpu_seconds": round(cost.cpu_seconds + sum(elsewhere["cpu_seconds"]), 3),
        "shards": shards,
        "workers": workers,
    }


def do_shard(work: ShardFunction, name: str, run: Run, number: int) -> int:
    """Do one shard, unless it is done, and write its report; returns its number."""
    if files.has_table(run, _report(name, number)):
        return number
    with Meter() as meter, threadpool_limits(1, "blas"):
        rows = work(run, number)
    report = {
        "shard": number,
        "worker": _me(),
        "seconds": meter.cost.seconds,
        "cpu_seconds": meter.cost.cpu_seconds,
        "peak_memory_mb": meter.cost.peak_bytes / 2**20,
        "rows": rows,
    }
    files.write_table(run, _report(name, number), pl.DataFrame([report]))
    trim_heap()
    return number


def _do_here(work: ShardFunction, name: str, run: Run, waiting: Sequence[int], engine: EngineConfig) -> Any:
    for number in waiting:
        yield do_shard(work, name, run, number)


def _do_on_cluster(
    work: ShardFunction, name: str, run: Run, waiting: Sequence[int], engine: EngineConfig
) -> Any:
    """The shards as they get done by whichever worker is free.

    The scheduler gives the shards of a lost worker to others, and gives up on one that was lost with several.
    """
    # Only here: it takes a second to load, and most homes have no cluster.
    from distributed import Client, KilledWorker, wait

    try:
        client = Client(  # type: ignore[no-untyped-call]
            engine.address, timeout=engine.patience, set_as_default=False
        )
    except OSError as error:
        raise MatineeError(
            f"engine.address: no Dask scheduler answers at {engine.address} within {engine.patience:g} s: "
            "start one with `make cluster`, or set engine.address to null"
        ) from error
    with client, client.as_current():
        under_way, rest, heard = dict[Any, int](), list(waiting)[::-1], time.monotonic()
        while under_way or rest:
            while rest and len(under_way) < max(1, _threads(client)):
                # One each at a time: a worker that dies then is suspected of nothing but its own shard.
                number = rest.pop()
                under_way[client.submit(do_shard, work, name, run, number, pure=False)] = number
            try:
                finished, _ = wait(  # type: ignore[no-untyped-call]
                    list(under_way), timeout=POLL, return_when="FIRST_COMPLETED"
                )
            except TimeoutError:
                if time.monotonic() - heard > engine.patience and not _threads(client):
                    raise MatineeError(
                        f"{name}: the cluster at {engine.address} has no workers left: start some, then run "
                        "the same command again, which does only what is missing"
                    ) from None
                continue
            heard = time.monotonic()
            for future in finished:
                number = under_way.pop(future)
                try:
                    yield future.result()
                except KilledWorker as error:
                    raise MatineeError(
                        f"{name}: shard {number} was lost with one worker after the other (out of memory?): "
                        "give workers more, then run the same command again, which does only what is missing"
                    ) from error


def _threads(client: Any) -> int:
    """Shards that the workers there are now can do at a time."""
    return sum(int(worker["nthreads"]) for worker in client.scheduler_info(n_workers=-1)["workers"].values())


def _report(name: str, number: int) -> str:
    return f"shards/{name}/{number:05d}"


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
