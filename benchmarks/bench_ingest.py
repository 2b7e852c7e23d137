"""From source files to validated Parquet: seconds, rows a second and peak memory of ingest.

    python -m benchmarks.bench_ingest SOURCE [--repeat 5]

SOURCE is what ``matinee ingest`` takes, for example a folder with ml-1m or ``synthetic:10``; each repetition
goes into an empty home, imports are left out. For files there are two peers that only copy the same
rows to Parquet (no line numbers, no validation, no search for duplicates): DuckDB's ``read_csv`` with its
two-character delimiter, and Polars' ``read_csv`` after replacing the delimiter by a single character.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import duckdb
import polars as pl
import psutil

from warehouse.events import log
from warehouse.sources import source as sources
from warehouse.sources.contract import Layout

COLUMNS = {"user_id": "BIGINT", "item_id": "BIGINT", "rating": "FLOAT", "timestamp": "BIGINT"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args(arguments)
    contenders: dict[str, Callable[[Path], int]] = {"matinee": lambda folder: ingest(folder, options.source)}
    source = sources.resolve(options.source)
    if isinstance(source, sources.Files) and source.ratings_from.member is None:
        file, layout = source.ratings_from.path, source.layout
        contenders["duckdb, copy only"] = lambda folder: copy_with_duckdb(folder, file, layout)
        contenders["polars, copy only"] = lambda folder: copy_with_polars(folder, file, layout)
    print(f"{'':20}{'first s':>9}{'median s':>10}{'rows/s':>13}{'ratio':>7}{'peak MiB':>10}")
    own = None
    for name, contender in contenders.items():
        seconds, rows, peak = measure(contender, options.repeat)
        own = own or median(seconds)
        print(
            f"{name:20}{seconds[0]:>9.2f}{median(seconds):>10.2f}{rows / median(seconds):>13,.0f}"
            f"{own / median(seconds):>7.2f}{peak / 2**20:>10,.0f}"
        )


def ingest(folder: Path, source: str) -> int:
    """Ingest into an empty home; returns the rows logged."""
    return log.ingest(folder, source).rows_logged


def copy_with_duckdb(folder: Path, file: Path, layout: Layout) -> int:
    """Copy the rows with DuckDB's reader and writer; returns their number."""
    with duckdb.connect() as con:
        delimiter, header = ("::", False) if layout == "dat" else (",", True)
        rows = con.read_csv(str(file), sep=delimiter, header=header, columns=COLUMNS)
        rows.write_parquet(str(folder / "copy.parquet"), compression="zstd")
    return int(pl.scan_parquet(folder / "copy.parquet").select(pl.len()).collect().item())


def copy_with_polars(folder: Path, file: Path, layout: Layout) -> int:
    """Copy the rows with Polars' reader and writer; returns their number."""
    schema = {"user_id": pl.Int64, "item_id": pl.Int64, "rating": pl.Float32, "timestamp": pl.Int64}
    text = file.read_bytes().replace(b"::", b",") if layout == "dat" else file
    rows = pl.read_csv(text, has_header=layout == "csv", schema=pl.Schema(schema))
    rows.write_parquet(folder / "copy.parquet", compression="zstd")
    return rows.height


def measure(contender: Callable[[Path], int], repeat: int) -> tuple[list[float], int, int]:
    """Seconds of each repetition, the rows, and the peak of this process's memory (bytes)."""
    process = psutil.Process(os.getpid())
    seconds, rows, peak, done = [], 0, process.memory_info().rss, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(repeat):
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                rows = contender(Path(folder))
                seconds.append(time.perf_counter() - started)
    finally:
        done.set()
        watcher.join()
    return seconds, rows, peak


if __name__ == "__main__":
    main()
