"""Swing by default and over all pairs of users: seconds, peak memory, and distance from the plain formula.

    python -m benchmarks.bench_swing SOURCE [--repeat 3] [--pairs 2000]

SOURCE is what ``matinee ingest`` takes, for example a folder with ml-1m or ``synthetic``. Seconds are CPU
seconds, without reading the source and compiling. The formula is evaluated in float64 for random pairs of
items and their published neighbours.
"""

import argparse
import resource
from collections.abc import Sequence
from time import process_time

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from benchmarks.logs import read_log
from models.candidates import Neighbours
from models.dataset import Dataset, Longs
from models.history import interactions
from models.recall.swing import Swing, SwingConfig


def formula(log: Dataset, pairs: Longs) -> NDArray[np.float64]:
    """Swing similarity of some pairs of items (P, 2), pair by pair over all pairs of their common users."""
    rated = interactions(log).toarray()  # (U, I)
    weight = 1 / np.sqrt(np.maximum(rated.sum(1), 1))
    similarity = np.zeros(len(pairs))
    for p, (i, j) in enumerate(pairs):
        common = np.flatnonzero(rated[:, i] * rated[:, j])
        overlap = rated[common] @ rated[common].T
        terms = np.outer(weight[common], weight[common]) / (SwingConfig().alpha + overlap)
        similarity[p] = np.triu(terms, 1).sum(dtype=np.float64)
    return similarity


def distance(log: Dataset, near: Neighbours, n: int) -> NDArray[np.float64]:
    """Relative differences from the formula, of at most n random published similarities."""
    rows, rank0 = np.nonzero(near.item >= 0)
    some = np.random.default_rng(0).permutation(len(rows))[:n]
    rows, rank0 = rows[some], rank0[some]
    expected = formula(log, np.stack([rows, near.item[rows, rank0]], axis=1))
    return np.abs(near.score[rows, rank0] - expected) / expected


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=2_000)
    options = parser.parse_args(arguments)
    log = read_log(options.source)
    Swing().fit(log.where(log.user_idx < 2))  # compiles
    print(
        f"{log.n_users:,} users, {log.n_items:,} items, {log.n_events:,} ratings, {get_num_threads()} threads"
    )
    exact = SwingConfig(max_users=max(log.n_users, 2), max_overlap=max(log.n_items, 2))
    for name, config in (("default", SwingConfig()), ("exact", exact)):
        seconds = []
        for _ in range(options.repeat):
            start = process_time()
            model = Swing(config).fit(log)
            seconds.append(process_time() - start)
        print(f"{name}: {', '.join(f'{s:.2f}' for s in seconds)} CPU s")
        near = Neighbours(model.state["neighbour"], model.state["similarity"])
        error = distance(log, near, options.pairs)
        print(f"{name}: relative difference from the formula: mean {error.mean():.1e}, max {error.max():.1e}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB, all included")


if __name__ == "__main__":
    main()
