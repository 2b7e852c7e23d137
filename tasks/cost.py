"""The cost of a piece of work: seconds, processor seconds, peak memory, rows written."""

import ctypes
import os
import threading
import time
from dataclasses import dataclass

import psutil

RowCounts = dict[str, int]
"""Rows written, by table."""


@dataclass(frozen=True)
class Cost:
    """The cost of a step, or of a shard of it."""

    seconds: float
    cpu_seconds: float
    """Processor seconds of this process and of those of its children that have ended."""
    peak_bytes: int
    """Peak resident memory of the process tree."""


class Meter:
    """Measures seconds, and the peak memory of the process tree, sampled every 50 ms."""

    cost: Cost

    def __enter__(self) -> "Meter":
        self._peak = _resident()
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        self._start, self._cpu = time.perf_counter(), _cpu_seconds()
        return self

    def __exit__(self, *error: object) -> None:
        seconds, cpu_seconds = time.perf_counter() - self._start, _cpu_seconds() - self._cpu
        self._over.set()
        self._sampler.join()
        self.cost = Cost(seconds, cpu_seconds, self._peak)

    def _sample(self) -> None:
        while not self._over.wait(0.05):
            self._peak = max(self._peak, _resident())


def formatted(rows: RowCounts) -> str:
    """Row counts as people read them."""
    return ", ".join(f"{count:,} {table}" for table, count in rows.items())


def trim_heap() -> None:
    """Return freed memory to the system: else the peak of what comes next is on top of it (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _resident() -> int:
    me = psutil.Process(os.getpid())
    total = 0
    for process in [me, *me.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
