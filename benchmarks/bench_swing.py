"""Exact Swing over all users and items: seconds, peak memory, and cells compared with the plain formula.

    python -m benchmarks.bench_swing SOURCE [--repeat 3] [--cells 2000]

SOURCE is what ``matinee ingest`` takes, for example a folder with ml-1m or ``synthetic``. Reading the source
and compiling are left out of the seconds. The formula is evaluated in float64 for random pairs of items.
"""

import argparse
import resource
from collections.abc import Sequence
from time import perf_counter

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from benchmarks.logs import read_log
from models.dataset import Dataset, Longs
from models.history import interactions
from models.recall.swing import swing_similarity

ALPHA = 1.0


def formula(log: Dataset, pairs: Longs) -> NDArray[np.float64]:
    """Swing similarity of some pairs of items (P, 2), pair by pair over all pairs of their common users."""
    rated = interactions(log).toarray()  # (U, I)
    weight = 1 / np.sqrt(np.maximum(rated.sum(1), 1))
    similarity = np.zeros(len(pairs))
    for p, (i, j) in enumerate(pairs):
        common = np.flatnonzero(rated[:, i] * rated[:, j])
        overlap = rated[common] @ rated[common].T
        terms = np.outer(weight[common], weight[common]) / (ALPHA + overlap)
        similarity[p] = np.triu(terms, 1).sum(dtype=np.float64)
    return similarity


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cells", type=int, default=2_000)
    options = parser.parse_args(arguments)
    log = read_log(options.source)
    swing_similarity(log.where(log.user_idx < 2))  # compiles
    print(
        f"{log.n_users:,} users, {log.n_items:,} items, {log.n_events:,} ratings, {get_num_threads()} threads"
    )
    for run in range(options.repeat):
        start = perf_counter()
        similarity = swing_similarity(log, ALPHA)
        print(f"run {run + 1}: {perf_counter() - start:.2f} s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB, all included")
    pairs = np.random.default_rng(0).integers(0, log.n_items, (options.cells, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    found, expected = similarity[pairs[:, 0], pairs[:, 1]], formula(log, pairs)
    error = np.abs(found - expected) / np.maximum(expected, 1e-12)
    print(f"{len(pairs):,} cells: largest relative difference from the formula {error.max():.1e}")


if __name__ == "__main__":
    main()
