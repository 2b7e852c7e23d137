"""What every pipeline step leaves behind: a line in the log and a row of lineage."""

import ctypes
import functools
import inspect
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import polars as pl
import psutil
from prefect import task
from prefect.cache_policies import NO_CACHE

from warehouse.runs import snapshot
from warehouse.runs.run import Run

log = logging.getLogger("matinee")

StepFunction = Callable[..., dict[str, int]]


def step(name: str, reads: list[str], writes: list[str]) -> Callable[[StepFunction], Any]:
    """A Prefect task over a run whose rows, seconds and peak memory become a row of ``lineage``.

    The function takes the Run first and returns the rows it wrote by table. Names may hold its arguments
    in braces, e.g. "recall {channel}".
    """

    def decorate(function: StepFunction) -> Any:
        signature = inspect.signature(function)

        @task(name=function.__name__, task_run_name=name, cache_policy=NO_CACHE)
        @functools.wraps(function)
        def measured(run: Run, *args: Any, **kwargs: Any) -> dict[str, int]:
            names = signature.bind(run, *args, **kwargs).arguments
            label = name.format(**names)
            with Meter() as meter:
                rows = function(run, *args, **kwargs)
            inputs = [table.format(**names) for table in reads]
            outputs = [table.format(**names) for table in writes]
            record(run, label, inputs, outputs, rows, meter)
            log.info("%-22s %6.1f s   %s", label, meter.seconds, told(rows))
            _give_back()
            return rows

        return measured

    return decorate


def record(
    run: Run, name: str, inputs: list[str], outputs: list[str], rows: dict[str, int], meter: "Meter"
) -> None:
    """Add a row to the run's lineage, in the order of the steps."""
    row = {
        "release_id": run.id,
        "step": name,
        "inputs": inputs,
        "outputs": outputs,
        "rows": sum(rows.values()),
        "seconds": round(meter.seconds, 3),
        "peak_memory_mb": round(meter.peak / 2**20, 1),
    }
    place = len(list(run.folder.glob("lineage/*.parquet")))
    snapshot.write_table(run, f"lineage/{place:03d}", pl.DataFrame([row]))


def told(rows: dict[str, int]) -> str:
    """Row counts as people read them."""
    return ", ".join(f"{count:,} {table}" for table, count in rows.items())


def _give_back() -> None:
    """Return what the step freed to the system: else the next step's peak comes on top of it (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Meter:
    """Seconds, and the peak resident memory of the process tree, sampled every 50 ms, in bytes."""

    def __enter__(self) -> "Meter":
        self.peak = _resident()
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self._start
        self._over.set()
        self._sampler.join()

    def _sample(self) -> None:
        while not self._over.wait(0.05):
            self.peak = max(self.peak, _resident())


def _resident() -> int:
    me = psutil.Process(os.getpid())
    total = 0
    for process in [me, *me.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
