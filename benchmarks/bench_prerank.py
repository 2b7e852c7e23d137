"""Pre-rankers on all candidates of all channels: what they lose of the targets, and what they cost.

    python -m benchmarks.bench_prerank SOURCE [--seed 0]

Protocol ``leave-one-out``: fitted on what recall found for the validation events, measured on the test.
Every channel finds 300 films a user; a pre-ranker keeps 200 of their union. It reads users, items and the
scores of channels, none of the features of a user and an item together that ranking reads. The reference is
the merged list itself, whose score costs nothing more. Loss: of the targets in the union, those that are not
kept. Seconds: scoring the union of all users, with its features; one thread a library unless told otherwise.
The time saved is that of the default ranker over all candidates less that over the 200, features included.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from flows.command.screen import log_to_terminal
from tasks.commands.offline import Fitter, Plan, recall

from models import merge
from models.candidates import Candidates
from models.dataset import Dataset, Floats
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.split import Split
from models.merge import Merged
from models.pipeline.config import DEFAULT_CHANNELS
from models.prerank.registry import PRE_RANKERS
from models.prerank.stage import PrerankConfig, best_of, fit_preranking
from models.rank.candidates import MERGED, Pool, is_target
from models.rank.fit import RankConfig, fit_ranking
from models.rank.registry import build_ranker
from models.rank.stage import Ranking
from tasks.commands.evaluate import read_log
from tasks.steps.features import READ

N_KEPT = 200
"""Candidates a user that are left to ranking."""

WIDTH = 1_500
"""Candidates a user before: hardly a union is larger."""

Lists = Mapping[str, Candidates]


def union_of(lists: Lists, weights: Floats, split: Split) -> Merged:
    """The union of all channels, in the order of the merge."""
    order = merge.fallback_order(split.train)
    merged = merge.merge(lists, weights, split.queries, order, WIDTH)
    found = merged.channels > 0
    item = np.where(found, merged.candidates.item, -1)
    score = np.where(found, merged.candidates.score, -np.inf).astype(np.float32)
    return Merged(Candidates(item, score), merged.channels)


def first(pool: Pool, n: int) -> Pool:
    """The n best candidates of each query by the merge."""
    merged = Candidates(pool.merged.item[:, :n], pool.merged.score[:, :n])
    return replace(pool, merged=merged)


def scored(ranking: Ranking, pool: Pool) -> tuple[Floats, float]:
    """The scores of a pool, and the seconds of extracting its features and scoring it."""
    started = time.perf_counter()
    scores = ranking.scores(pool)
    return scores, time.perf_counter() - started


def measure(log: Dataset, before: Split, then: Split, found: tuple[Lists, Lists], seed: int) -> None:
    """Print a line for each pre-ranker; ``found`` are the lists of both splits of the log."""
    weights = merge.fit_weights(found[0], before.queries, before.targets.indptr, before.targets.item)
    earlier, later = union_of(found[0], weights, before), union_of(found[1], weights, then)
    learned_from = Pool(before.queries, earlier.candidates, found[0])
    pool = Pool(then.queries, later.candidates, found[1])
    in_union, n = int(is_target(pool.merged.item, then.targets).sum()), len(then.targets.item)
    size = (pool.merged.item >= 0).sum(axis=1).mean()
    print(f"{size:.0f} candidates a user hold {in_union / n:.4f} of the targets")
    print(f"{'':14}{'recall@' + str(N_KEPT):>12}{'lost':>8}{'seconds':>10}")
    scores, seconds = {MERGED: pool.merged.score}, {MERGED: 0.0}
    for method in PRE_RANKERS:
        prerank = PrerankConfig(method=method, pool=WIDTH)
        fitted = fit_preranking(learned_from, before.targets, log, READ, prerank, seed)
        if fitted is not None:
            scores[method], seconds[method] = scored(fitted.ranking, pool)
    for method, by in scores.items():
        kept = best_of(later, by, N_KEPT).candidates.item
        hits = int(is_target(kept, then.targets).sum())
        print(f"{method:14}{hits / n:>12.4f}{1 - hits / in_union:>8.2%}{seconds[method]:>10.1f}")
    config = RankConfig()
    narrow, ranker = first(learned_from, config.pool), build_ranker(config.ranker)
    ranked = fit_ranking(narrow, before.targets, log, READ, config, ranker, seed)
    if ranked is not None:
        whole, short = (scored(ranked.ranking, first(pool, n))[1] for n in (WIDTH, N_KEPT))
        print(f"ranking all candidates takes {whole:.1f} s, ranking {N_KEPT} a user {short:.1f} s")


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
