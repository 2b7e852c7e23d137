"""Loss and speed of approximate search against exact search, on clustered item vectors.

    python -m benchmarks.bench_ann [--items 100000] [--queries 2000] [--dim 64] [--n 100] [--vectors FILE]

FILE is a .npy of (I, D) float32 vectors, for example the ``item_embeddings`` of a release. Loss is the
fraction of the exact n nearest that is missed; time is that of a search relative to the exact one.
"""

import argparse
from collections.abc import Sequence
from time import perf_counter

import numpy as np

from models.dataset import Floats
from models.embeddings.ann import AnnConfig, build_index, nearest, recall_loss

CONFIGS = {
    "flat": AnnConfig(kind="flat"),
    "hnsw, efSearch 64": AnnConfig(kind="hnsw", efSearch=64),
    "hnsw": AnnConfig(kind="hnsw"),
    "hnsw, efSearch 512": AnnConfig(kind="hnsw", efSearch=512),
    "ivf, nprobe 13": AnnConfig(kind="ivf", nprobe=13),
    "ivf": AnnConfig(kind="ivf"),
    "ivf, nprobe 250": AnnConfig(kind="ivf", nprobe=250),
}


def clustered(n: int, embedding_dim: int, seed: int = 0) -> Floats:
    """(n, D) vectors around 200 centres in a space of a few strong directions, as embeddings are."""
    rng = np.random.default_rng(seed)
    strength = 1 / np.sqrt(1 + np.arange(embedding_dim))
    centres = rng.normal(size=(200, embedding_dim)) * strength
    noise = rng.normal(size=(n, embedding_dim)) * strength
    return (centres[rng.integers(0, 200, n)] + 0.7 * noise).astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--vectors", help=".npy of (I, D) float32 vectors")
    options = parser.parse_args(arguments)
    vectors = np.load(options.vectors) if options.vectors else clustered(options.items, options.dim)
    queries = vectors[np.random.default_rng(1).permutation(len(vectors))[: options.queries]]
    for metric in ("inner_product", "cosine"):
        print(f"\n{metric}, {len(vectors):,} vectors")
        print(f"{'index':18}{'build s':>9}{'search s':>9}{'time':>7}{'loss':>8}")
        for name, config in CONFIGS.items():
            config = config.but(metric=metric)
            start = perf_counter()
            index = build_index(vectors, config)
            built = perf_counter()
            found = nearest(index, queries, options.n)
            seconds = perf_counter() - built
            if name == "flat":
                exact, exact_seconds = found, seconds
            ratio, loss = seconds / exact_seconds, recall_loss(exact, found)
            print(f"{name:18}{built - start:9.2f}{seconds:9.2f}{ratio:7.2f}{loss:8.4f}")


if __name__ == "__main__":
    main()
