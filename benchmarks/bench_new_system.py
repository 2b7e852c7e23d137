"""How good lists are while a system has few ratings.

    python -m benchmarks.bench_new_system SOURCE

A system that has so many ratings: the first twenty of each of some users. It is asked by 1,000 others of
whom it knows their first ten, and what counts is NDCG@10 on all other films that they rated: of what is
popular, of the channels `item_cf` and `ease`, and of the merge of the three, whose weights are fitted on
the newest ratings of the same few users. Means over draws of the users; ± is twice their standard error.
"""

import sys

import numpy as np

from benchmarks.simulate import nightly
from models.dataset import Dataset, Doubles, Ints, Longs, Mask, queries_at
from tasks import config as configuration
from tasks.commands.evaluate import read_log

EVENTS, DRAWS = (100, 1_000, 10_000), (20, 10, 5)
"""Ratings of the system, and draws of its users."""

OF_EACH, KNOWN, ASKING, LIST = 20, 10, 1_000, 10
"""Ratings of each user of the system; of who asks; users who ask; length of lists."""

CONFIG = configuration.load(
    {
        "objective": "next",
        "recall": {"channels": ["popular", "item_cf", "ease"]},
        "merge": {"newcomers": "popular"},
        "rerank": {"method": "none"},
    }
)


def main(source: str) -> None:
    """Print NDCG by number of ratings and model."""
    log, _ = read_log(source)
    for n_events, draws in zip(EVENTS, DRAWS, strict=True):
        found = [_measure(log, n_events, seed) for seed in range(draws)]
        for name in found[0]:
            values = np.array([one[name] for one in found])
            error = 2 * values.std(ddof=1) / np.sqrt(draws)
            print(
                f"{n_events:7,d} ratings  {name:8s} NDCG@{LIST} {values.mean():.4f} ± {error:.4f}", flush=True
            )


def _measure(log: Dataset, n_events: int, seed: int) -> dict[str, float]:
    order = np.random.default_rng(seed).permutation(log.n_users)
    number = _number(log)
    asking = order[: min(ASKING, log.n_users // 2)]
    learned_from = order[len(asking) :][: max(1, n_events // OF_EACH)]
    train = log.where(np.isin(log.user_idx, learned_from) & (number < OF_EACH))
    mine = np.isin(log.user_idx, asking)
    known, wanted = log.where(mine & (number < KNOWN)), mine & (number >= KNOWN)
    release = nightly(CONFIG, train)
    queries = queries_at(known, users=np.sort(asking).astype(np.int32))
    lists = {name: model.recommend(queries, LIST).item for name, model in release.channels.items()}
    lists["merged"] = release.lists(known)[queries.user_idx][:, :LIST]
    return {name: _ndcg(item, queries.user_idx, log, wanted) for name, item in lists.items()}


def _number(log: Dataset) -> Longs:
    """(E,) which of its user's ratings each is, from 0."""
    return np.arange(log.n_events) - log.indptr[log.user_idx]


def _ndcg(listed: Ints, users: Ints, log: Dataset, wanted: Mask) -> float:
    table = np.zeros((log.n_users, log.n_items + 1), dtype=np.bool_)  # the last column is padding
    table[log.user_idx[wanted], log.item_idx[wanted]] = True
    hit = np.take_along_axis(table[users], listed.astype(np.int64) % (log.n_items + 1), axis=1)
    discount: Doubles = 1 / np.log2(np.arange(LIST) + 2)
    count = table[users].sum(axis=1)
    ideal = np.cumsum(discount)[np.clip(count, 1, LIST) - 1]
    return float((hit @ discount / ideal)[count > 0].mean())


if __name__ == "__main__":
    main(sys.argv[1])
