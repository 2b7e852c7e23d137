"""The Bloom filters of what users were shown, beside exact sets: errors, bytes a user, seconds.

    python -m benchmarks.bench_bloom [--users 20000] [--items 4000] [--shown 70] [--rate 0.01] [--probes N]

Each user was shown a random number of random items, ``--shown`` on average. N questions (ten million) are for
what was shown, where an answer of no is a false negative, and N for random items, most of which were not: yes
is a false positive. The exact set answers the same questions by binary search in all pairs, sorted as 64-bit
numbers. Seconds are those of one process with as many threads as numba has, without compiling.
"""

import argparse
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TypeVar

import numpy as np
from numba import get_num_threads

from models import bloom
from models.bloom import BloomFilters
from models.dataset import Ints, Longs, Mask

T = TypeVar("T")


def random_pairs(n_users: int, n_items: int, shown: float, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Distinct pairs of users and items (E,), sorted."""
    count = rng.poisson(shown, n_users)
    user = np.repeat(np.arange(n_users, dtype=np.int64), count)
    pair = np.unique(user * n_items + rng.integers(n_items, size=len(user)))
    return (pair // n_items).astype(np.int32), (pair % n_items).astype(np.int32)


def in_exact_set(pairs: Longs, wanted: Longs) -> Mask:
    """Which of the numbers (N,) are among the sorted ones (E,)."""
    place = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    found: Mask = pairs[place] == wanted
    return found


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """The answer, and the seconds that it took."""
    start = perf_counter()
    answer = work()
    return answer, perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=4_000)
    parser.add_argument("--shown", type=float, default=70)
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--probes", type=int, default=10_000_000)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(0)
    user, item = random_pairs(options.users, options.items, options.shown, rng)
    pairs = user.astype(np.int64) * options.items + item
    few = bloom.build(user[:9], item[:9], options.rate)
    few.may_hold(user[:9], item[:9])  # compiles
    filters, seconds = timed(lambda: bloom.build(user, item, options.rate))
    n_users = len(filters.user_idx)
    print(f"{n_users:,} users, {len(user):,} pairs of {options.items:,} items, {get_num_threads()} threads")
    print(f"filters built in {seconds:.3f} s")
    n_bytes = sum(column.nbytes for column in filters.columns.values())
    print(f"bytes a user: {n_bytes / n_users:.1f}, of an exact set {pairs.nbytes / n_users:.1f}")
    held = rng.integers(len(user), size=options.probes)
    ask(filters, pairs, options.items, user[held], item[held], "held", options.rate)
    others = (rng.choice(filters.user_idx, options.probes), rng.integers(options.items, size=len(held)))
    ask(filters, pairs, options.items, others[0], others[1].astype(np.int32), "other", options.rate)


def ask(
    filters: BloomFilters, pairs: Longs, n_items: int, user: Ints, item: Ints, what: str, rate: float
) -> None:
    """Print how often the filters are wrong, and how long both take."""
    truth, exact = timed(lambda: in_exact_set(pairs, user.astype(np.int64) * n_items + item))
    answer, seconds = timed(lambda: filters.may_hold(user, item))
    print(
        f"{what}: {len(user):,} probes, {seconds:.3f} s, exact set {exact:.3f} s, ratio {exact / seconds:.2f}"
    )
    print(f"{what}: false negatives: {int((truth & ~answer).sum())}")
    if what == "other":
        measured = (answer & ~truth).sum() / (~truth).sum()
        print(f"false-positive rate: {measured:.6f}, asked for {rate:.6f}, ratio {measured / rate:.3f}")


if __name__ == "__main__":
    main()
