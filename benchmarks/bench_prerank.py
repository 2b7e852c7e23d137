"""Pre-rankers on all candidates of all channels: the targets that they lose, and their seconds.

    python -m benchmarks.bench_prerank SOURCE [--set KEY=VALUE]...

Protocol ``leave-one-out``: fitted on what recall found for the validation events, measured on the test.
A pre-ranker leaves 200 of the union of all channels' candidates. It reads users, items and the scores of
channels, none of the features of a user and an item together that ranking reads. The reference is the merged
list itself, whose score costs nothing more. Loss: of the targets in the union, those that are not left.
Seconds: scoring the union of all users, with its features; one thread a library unless the environment says
otherwise. The time saved is that of the ranker over all candidates less that over the 200, features included.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks import configuration
from flows.command.screens.terminal import log_to_terminal
from models import merge
from models.candidates import Candidates
from models.dataset import Dataset, Floats
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.split import Split
from models.features.declare import Declaration
from models.merge import Merged
from models.pipeline import stages
from models.pipeline.channels import Fitter
from models.pipeline.config import PipelineConfig
from models.prerank.registry import PRE_RANKERS
from models.prerank.stage import PrerankConfig, best_of, fit_preranking
from models.rank.candidates import MERGED, Pool, is_target
from models.rank.stage import Ranking
from tasks import declarations
from tasks.commands.evaluate import read_log

N_LEFT = 200
"""Candidates a user that are left to ranking."""

WIDTH = 1_500
"""Candidates a user before: hardly a union is larger."""

Lists = Mapping[str, Candidates]


def recall(config: PipelineConfig, fitter: Fitter, split: Split) -> Lists:
    """Candidates of every channel for the queries of a split."""
    n = config.recall.candidates
    return {
        name: fitter.fitted(name, split.train).recommend(split.queries, n) for name in config.recall.channels
    }


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


def settings_of(config: PipelineConfig, method: str) -> PrerankConfig:
    """The configured pre-ranking with a method; its settings count for the configured method alone."""
    settings = config.prerank.settings if method == config.prerank.method else {}
    return config.prerank.but(method=method, pool=WIDTH, settings=settings)


def measure(
    config: PipelineConfig,
    declared: Sequence[Declaration],
    log: Dataset,
    before: Split,
    then: Split,
    recalled: tuple[Lists, Lists],
) -> None:
    """Print a line for each pre-ranker; ``recalled`` are the candidates of both splits of the log."""
    weights = stages.fit_merge(config, recalled[0], before).weights
    earlier, later = union_of(recalled[0], weights, before), union_of(recalled[1], weights, then)
    learned_from = Pool(before.queries, earlier.candidates, recalled[0])
    pool = Pool(then.queries, later.candidates, recalled[1])
    in_union, n = int(is_target(pool.merged.item, then.targets).sum()), len(then.targets.item)
    size = (pool.merged.item >= 0).sum(axis=1).mean()
    print(f"{size:.0f} candidates a user hold {in_union / n:.4f} of the targets")
    print(f"{'':14}{'recall@' + str(N_LEFT):>12}{'lost':>8}{'seconds':>10}")
    scores, seconds = {MERGED: pool.merged.score}, {MERGED: 0.0}
    for method in PRE_RANKERS:
        prerank = settings_of(config, method)
        fitted = fit_preranking(learned_from, before.targets, log, declared, prerank, config.seed)
        if fitted is not None:
            scores[method], seconds[method] = scored(fitted.ranking, pool)
    for method, by in scores.items():
        left = best_of(later, by, N_LEFT).candidates.item
        hits = int(is_target(left, then.targets).sum())
        print(f"{method:14}{hits / n:>12.4f}{1 - hits / in_union:>8.2%}{seconds[method]:>10.1f}")
    narrow = first(learned_from, config.rank.pool)
    ranked = stages.fit_rank(config, narrow, before, log, tuple(declared))
    if ranked is not None:
        whole, short = (scored(ranked.ranking, first(pool, n))[1] for n in (WIDTH, N_LEFT))
        print(f"ranking all candidates takes {whole:.1f} s, ranking {N_LEFT} a user {short:.1f} s")


def main(arguments: Sequence[str] | None = None) -> None:
    """Recall, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    any_method = {"prerank": {"method": next(iter(PRE_RANKERS))}}  # its folds and sampling serve all of them
    config = configuration.load(options.set, {"objective": "next"} | any_method)
    log_to_terminal()
    rules = PROTOCOLS["leave-one-out"]
    log, _ = read_log(options.source)
    (then,) = rules.splits(log)
    before = rules.validation(then)
    fitter = Fitter(config)
    recalled = recall(config, fitter, before), recall(config, fitter, then)
    measure(config, declarations.of(config.features, config.optional_features), log, before, then, recalled)


if __name__ == "__main__":
    main()
