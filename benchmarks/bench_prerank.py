"""Pre-rankers on all candidates of all channels: what they lose of the targets, and what they cost.

    python -m benchmarks.bench_prerank SOURCE [--seed 0]

Protocol ``leave-one-out``: fitted on what recall brought for the validation events, measured on the test.
Every channel brings 300 films a user; a pre-ranker keeps 200 of their union. It reads users, items and what
the channels say, none of the features of a user and an item together that ranking reads. The reference is
the merged list itself, whose score costs nothing more. Loss: of the targets in the union, those that are not
kept. Seconds: scoring the union of all users, with its features; one thread a library unless told otherwise.
The time saved is that of the default ranker over all candidates less that over the 200, features included.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from models.prerank.prerank import TWO_TOWERS, best_of_query, fit_prerank
from tasks.commands.offline import Fitter, Plan, recall

from flows.command.screens.terminal import log_to_terminal
from models import merge
from models.candidates import Candidates
from models.dataset import Dataset, Floats, Mask
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.split import Split
from models.features.compute import Known
from models.features.declare import Declaration
from models.features.encode import Encoder, fit_encoder
from models.features.extract import extract
from models.pipeline.config import DEFAULT_CHANNELS
from models.rank.candidates import Pool, Sampling, is_target, keep_some
from models.rank.contract import Trained
from models.rank.fit import RankingConfig, fit_ranking
from models.rank.registry import fit_ranker
from models.rank.rows import Rows
from models.rank.stage import Ranking
from tasks.commands.evaluate import read_log
from tasks.steps.features import READ
from tasks.steps.rank import DEFAULT_RANKER, POOL

KEPT = 200
"""Candidates a user that are left to ranking."""

WIDTH = 1_500
"""Candidates a user before: hardly a union is larger."""

CHEAP = tuple(feature for feature in READ if feature.side != "cross")
"""Features of one side alone, and what channels say."""

SAMPLING = Sampling(negatives=0.05)
BLOCK = 256
"""Queries whose candidates are scored at once."""

Lists = Mapping[str, Candidates]
Fit = Callable[[Rows, Rows, int], Trained]

PRE_RANKERS: dict[str, Fit] = {
    "three towers": fit_prerank,
    "two towers": lambda train, validation, seed: fit_prerank(train, validation, seed, TWO_TOWERS),
    "gbdt": lambda train, validation, seed: fit_ranker("gbdt", train, validation, seed),
}


def pool_of(lists: Lists, weights: Floats, split: Split) -> Pool:
    """The union of all channels, in the order of the merge."""
    order = merge.fallback_order(split.train)
    merged = merge.merge(lists, weights, split.queries, order, WIDTH)
    brought = merged.channels > 0
    item = np.where(brought, merged.candidates.item, -1)
    score = np.where(brought, merged.candidates.score, -np.inf).astype(np.float32)
    return Pool(split.queries, Candidates(item, score), lists)


def rows_of(
    pool: Pool, kept: Mask, declared: tuple[Declaration, ...], encoder: Encoder | None = None
) -> tuple[Rows, Encoder]:
    """The kept candidates as rows, unlabelled; without an encoder, one that is fitted on them."""
    known = Known(pool.queries.log)
    pairs = pool.pairs(known, kept)
    raw = extract(declared, list(pool.lists), pairs)
    encoder = encoder or fit_encoder(declared, list(pool.lists), raw, known.log)
    label = np.empty((len(pairs.query), 0), dtype=np.float32)
    columns = encoder.encode(raw)
    return Rows(encoder.schema, pairs.query, pairs.item.astype(np.int64), *columns, label, ()), encoder


def training(pool: Pool, split: Split) -> tuple[Rows, Rows, Encoder]:
    """Rows to learn from, those of every fifth query to stop by, and how they were encoded."""
    kept = keep_some(pool, split.targets, SAMPLING, seed=0)
    rows, encoder = rows_of(pool, kept, CHEAP)
    watched = is_target(pool.merged.item, split.targets)[kept].astype(np.float32)
    rows = replace(rows, label=watched[:, None], tasks=("watched",))
    held_back = rows.query % 5 == 0
    return rows.where(~held_back), rows.where(held_back), encoder


@dataclass(frozen=True)
class Outcome:
    """How many targets are left, and seconds of extracting features and of scoring."""

    targets: int
    features: float
    scoring: float


def outcome(pool: Pool, split: Split, trained: Trained, encoder: Encoder) -> Outcome:
    """Of one pre-ranker on the union."""
    targets, features, scoring = 0, 0.0, 0.0
    positive = is_target(pool.merged.item, split.targets)
    for begin in range(0, len(pool.queries), BLOCK):
        block = pool.where(np.arange(begin, min(begin + BLOCK, len(pool.queries))))
        there = block.merged.item >= 0
        started = time.perf_counter()
        rows, _ = rows_of(block, there, CHEAP, encoder)
        features += time.perf_counter() - started
        started = time.perf_counter()
        kept = best_of_query(trained.logits(rows)[:, 0], rows.query, KEPT)
        scoring += time.perf_counter() - started
        targets += int(positive[begin : begin + BLOCK][there][kept].sum())
    return Outcome(targets, features, scoring)


def best_of_merged(pool: Pool, n: int) -> Pool:
    """The n best candidates of each query by the merge."""
    merged = Candidates(pool.merged.item[:, :n], pool.merged.score[:, :n])
    return replace(pool, merged=merged)


def ranking_seconds(ranking: Ranking, pool: Pool) -> float:
    """Of extracting the features of all candidates of a pool, and ranking them."""
    started = time.perf_counter()
    ranking.logits(pool)
    return time.perf_counter() - started


def measure(log: Dataset, before: Split, then: Split, brought: tuple[Lists, Lists], seed: int) -> None:
    """Print a line for each pre-ranker; ``brought`` are the lists of both splits of the log."""
    weights = merge.fit_weights(brought[0], before.queries, before.targets.indptr, before.targets.item)
    learned_from = pool_of(brought[0], weights, before)
    train, validation, encoder = training(learned_from, before)
    pool = pool_of(brought[1], weights, then)
    positive = is_target(pool.merged.item, then.targets)
    union, n = int(positive.sum()), len(then.targets.item)
    size = (pool.merged.item >= 0).sum(axis=1).mean()
    print(
        f"{len(train):,} rows to learn from; {size:.0f} candidates a user hold {union / n:.4f} of the targets"
    )
    print(f"{'':14}{'recall@' + str(KEPT):>12}{'lost':>8}{'features s':>12}{'scoring s':>11}")
    table = {"merged list": Outcome(int(positive[:, :KEPT].sum()), 0.0, 0.0)}
    for name, fit in PRE_RANKERS.items():
        table[name] = outcome(pool, then, fit(train, validation, seed), encoder)
    for name, found in table.items():
        print(
            f"{name:14}{found.targets / n:>12.4f}{1 - found.targets / union:>8.2%}"
            f"{found.features:>12.1f}{found.scoring:>11.1f}"
        )
    config = RankingConfig(ranker=DEFAULT_RANKER, seed=seed)
    fitted = fit_ranking(best_of_merged(learned_from, POOL), before.targets, log, READ, config)
    if fitted is not None:
        whole, short = (ranking_seconds(fitted.ranking, best_of_merged(pool, n)) for n in (WIDTH, KEPT))
        print(f"ranking all candidates takes {whole:.1f} s, ranking {KEPT} a user {short:.1f} s")


def main() -> None:
    """Recall, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    log_to_terminal()
    rules = PROTOCOLS["leave-one-out"]
    log, _ = read_log(options.source)
    (then,) = rules.splits(log)
    before = rules.validation(then)
    plan = Plan(DEFAULT_CHANNELS, "next", options.seed, width=300)
    fitter = Fitter(plan)
    lists = tuple(recall(split, fitter, part).lists for split, part in ((before, "before"), (then, "then")))
    measure(log, before, then, (lists[0], lists[1]), options.seed)


if __name__ == "__main__":
    main()
