"""Steps of the pipeline; each leaves a line in the log and a row of lineage."""

import ctypes
import functools
import inspect
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec

import polars as pl
import psutil
from prefect import Task, task
from prefect.cache_policies import NO_CACHE

from warehouse.runs import files
from warehouse.runs.run import Run

logger = logging.getLogger("matinee")
# Workers have no terminal that would ask for these lines: without a level they would not reach Prefect's UI.
logger.setLevel(logging.INFO)

P = ParamSpec("P")
RowCounts = dict[str, int]
"""Rows written, by table."""

StepFunction = Callable[Concatenate[Run, P], RowCounts]


@dataclass(frozen=True)
class Cost:
    """The cost of a step."""

    seconds: float
    peak_bytes: int
    """Peak resident memory of the process tree."""


def step(
    name: str, reads: list[str], writes: list[str]
) -> Callable[[StepFunction[P]], Task[Concatenate[Run, P], RowCounts]]:
    """A Prefect task over a run whose rows, seconds and peak memory become a row of ``lineage``.

    The function takes the Run first and returns the rows it wrote by table. Names may hold its arguments
    in braces, e.g. "recall {channel}".
    """

    def decorate(function: StepFunction[P]) -> Task[Concatenate[Run, P], RowCounts]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def measured(run: Run, *args: P.args, **kwargs: P.kwargs) -> RowCounts:
            arguments = signature.bind(run, *args, **kwargs).arguments
            label, *tables = (text.format(**arguments) for text in (name, *reads, *writes))
            with Meter() as meter:
                rows = function(run, *args, **kwargs)
            record(run, label, tables[: len(reads)], tables[len(reads) :], rows, meter.cost)
            logger.info("%-22s %6.1f s   %s", label, meter.cost.seconds, formatted(rows))
            _trim_heap()
            return rows

        decorated = task(name=function.__name__, task_run_name=name, cache_policy=NO_CACHE)(measured)
        return decorated

    return decorate


def record(run: Run, name: str, inputs: list[str], outputs: list[str], rows: RowCounts, cost: Cost) -> None:
    """Add a row to the run's lineage, in the order of the steps."""
    row = {
        "release_id": run.id,
        "step": name,
        "inputs": inputs,
        "outputs": outputs,
        "rows": sum(rows.values()),
        "seconds": round(cost.seconds, 3),
        "peak_memory_mb": round(cost.peak_bytes / 2**20, 1),
    }
    number = len(list(run.folder.glob("lineage/*.parquet")))
    files.write_table(run, f"lineage/{number:03d}", pl.DataFrame([row]))


def formatted(rows: RowCounts) -> str:
    """Row counts as people read them."""
    return ", ".join(f"{count:,} {table}" for table, count in rows.items())


def _trim_heap() -> None:
    """Return what the step freed to the system: else the next step's peak comes on top of it (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Meter:
    """Measures seconds, and the peak memory of the process tree, sampled every 50 ms."""

    cost: Cost

    def __enter__(self) -> "Meter":
        self._peak = _resident()
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        seconds = time.perf_counter() - self._start
        self._over.set()
        self._sampler.join()
        self.cost = Cost(seconds, self._peak)

    def _sample(self) -> None:
        while not self._over.wait(0.05):
            self._peak = max(self._peak, _resident())


def _resident() -> int:
    me = psutil.Process(os.getpid())
    total = 0
    for process in [me, *me.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
