"""ItemCF against the cosine model of ``implicit`` in the same run: seconds of fitting and their ratio.

    python -m benchmarks.bench_item_cf SOURCE [--n-neighbours 200] [--repeat 5]

SOURCE is what ``matinee ingest`` takes, for example a folder with ml-1m or ``synthetic``. Both start from the
log, use all threads and keep as many neighbours an item; the fits alternate and the medians count. Reading
the source and compiling are left out.
"""

import argparse
import warnings
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

from implicit.nearest_neighbours import CosineRecommender
from implicit.utils import ParameterWarning
from numba import get_num_threads
from scipy.sparse import csr_matrix

from benchmarks.logs import read_log
from models.dataset import Dataset
from models.history import interactions
from models.recall.item_cf import item_neighbours


def seconds(fit: Callable[[], object]) -> float:
    """Seconds that a fit takes."""
    start = perf_counter()
    fit()
    return perf_counter() - start


def fit_implicit(log: Dataset, n_neighbours: int) -> None:
    """Fit the peer, from the log to its similarities."""
    model = CosineRecommender(K=n_neighbours, num_threads=get_num_threads())
    model.fit(csr_matrix(interactions(log)), show_progress=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--n-neighbours", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args(arguments)
    log = read_log(options.source)
    item_neighbours(log.where(log.user_idx < 2), options.n_neighbours)  # compiles
    warnings.simplefilter("ignore", ParameterWarning)  # about a transpose that implicit makes itself
    ours, theirs = [], []
    for _ in range(options.repeat):
        ours.append(seconds(lambda: item_neighbours(log, options.n_neighbours)))
        theirs.append(seconds(lambda: fit_implicit(log, options.n_neighbours)))
    print(f"{log.n_items:,} items, {log.n_events:,} ratings, {get_num_threads()} threads")
    print(f"{'':12}{'first s':>9}{'median s':>10}")
    print(f"{'matinee':12}{ours[0]:>9.2f}{median(ours):>10.2f}")
    print(f"{'implicit':12}{theirs[0]:>9.2f}{median(theirs):>10.2f}")
    print(f"ratio of the medians {median(ours) / median(theirs):.2f} (the bar is 1.5)")


if __name__ == "__main__":
    main()
