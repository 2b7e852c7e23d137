"""Speed of the compiled walks: seconds for about four million steps, compilation left out.

python -m benchmarks.bench_walks [--users 6040] [--items 3706] [--ratings 1000000]
"""

import argparse
from collections.abc import Sequence
from time import perf_counter

import numpy as np

from models.dataset import DAY, Dataset
from models.embeddings.walks import WalkConfig, bipartite_graph, random_walks

CONFIGS = {
    "uniform": WalkConfig(),
    "rating and recency": WalkConfig(rating_power=1.0, half_life=180.0),
    "node2vec p=4 q=0.5": WalkConfig(p=4.0, q=0.5),
    "node2vec p=0.25 q=4": WalkConfig(p=0.25, q=4.0),
}


def random_log(n_users: int, n_items: int, n_ratings: int, seed: int = 0) -> Dataset:
    """Long-tailed activity and popularity, as in a log of film ratings."""
    rng = np.random.default_rng(seed)
    user = np.sort((n_users * rng.random(n_ratings) ** 2).astype(np.int32))
    item = (n_items * rng.random(n_ratings) ** 2).astype(np.int32)
    rating = rng.integers(1, 6, n_ratings).astype(np.float32)
    at = rng.integers(0, 1000, n_ratings) * DAY
    order = np.lexsort((at, user))
    return Dataset(user, item[order], rating[order], at[order], n_users, n_items, 1000 * DAY)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=6_040)
    parser.add_argument("--items", type=int, default=3_706)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    log = random_log(options.users, options.items, options.ratings)
    print(f"{'walk':22}{'graph s':>9}{'walk s':>9}{'steps':>11}{'M steps/s':>11}")
    for name, config in CONFIGS.items():
        graph = bipartite_graph(log, config)
        random_walks(graph, WalkConfig(per_node=1, length=2))
        start = perf_counter()
        graph = bipartite_graph(log, config)
        built = perf_counter()
        n_steps = random_walks(graph, config).size
        seconds = perf_counter() - built
        print(f"{name:22}{built - start:9.2f}{seconds:9.2f}{n_steps:11,}{n_steps / seconds / 1e6:11.1f}")


if __name__ == "__main__":
    main()
