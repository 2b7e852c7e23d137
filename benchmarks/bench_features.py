"""Which optional features help the ranker: each alone beside the default ones, paired query by query.

    python -m benchmarks.bench_features SOURCE [--users 1000] [--set KEY=VALUE]...

On the training part of ``leave-one-out``, whose test is not looked at: channels are fitted without the newest
films of some of the users, the ranker learns from what they recall of those, and NDCG@10 is measured on the
users that each ranker was trained without, of its order alone. Prints each feature's fraction of rows
that have it, and its difference to the default features with a 95 % interval over users.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks import configuration
from models.candidates import Candidates
from models.dataset import Dataset, Doubles
from models.evaluation.leave_out import next_films
from models.evaluation.metrics import ndcg, target_rank0
from models.evaluation.protocols import PROTOCOLS
from models.features.compute import PastIndex
from models.features.declare import Declaration, optional_names
from models.features.encode import coverage, fit_encoder
from models.features.extract import Raw, extract
from models.pipeline import stages
from models.pipeline.channels import Fitter
from models.pipeline.config import PipelineConfig, ranker_of
from models.rank.candidates import TASKS, is_target, sample, task_labels
from models.rank.rows import Rows
from models.targets import Targets
from models.top_n import best_of_rows
from tasks import declarations
from tasks.commands.evaluate import read_log

BASE = {
    "objective": "next",
    "recall": {"channels": ["popular", "item_cf", "ease", "sequential_linear"]},
    "holdout": {"next_films": 2},
    "rank": {"pool": 100},
}
"""Settings by which a pool is made in little time; ``--set`` wins over them."""

AT = 10
"""Length of the lists that are measured."""


def some_users(log: Dataset, n: int, seed: int) -> Dataset:
    """The ratings of n users, drawn at random."""
    users = np.random.default_rng(seed).permutation(log.n_users)[:n]
    return log.where(np.isin(log.user_idx, users))


class Measurement:
    """Values of all features of a pool, computed once, and what rankers make of some of them."""

    def __init__(self, config: PipelineConfig, log: Dataset, declared: Sequence[Declaration]) -> None:
        self.config, self.log = config, log
        holdout = next_films(log, config.holdout.next_films)
        fitter = Fitter(config)
        recalled = {
            name: fitter.fitted(name, holdout.train).recommend(holdout.queries, config.recall.candidates)
            for name in config.recall.channels
        }
        merging = stages.fit_merge(config, recalled, holdout)
        _, self.pool = stages.fit_prerank(config, recalled, merging, holdout, log, tuple(declared))
        self.targets: Targets = holdout.targets
        self.mask = self.pool.merged.item >= 0
        self.sampled = sample(self.pool, self.targets, config.rank.sampling, config.seed)[self.mask]
        self.pairs = self.pool.pairs(PastIndex(log), self.mask)
        self.raw: Raw = extract(declared, list(self.pool.lists), self.pairs)
        watched = is_target(self.pool.merged.item, self.targets)[self.mask]
        user = self.pool.queries.user_idx[self.pairs.query]
        self.label = task_labels(watched, user, self.pairs.item, log)
        dealt = np.random.default_rng(config.seed).permutation(log.n_users)
        self.fold = dealt[user] % config.rank.folds

    def ndcg(self, declared: Sequence[Declaration]) -> Doubles:
        """(U,) NDCG of each user's queries, by rankers of these features trained without the user."""
        lists = list(self.pool.lists)
        encoder = fit_encoder(declared, lists, self.raw, self.log)
        rows = replace(Rows.of(self.pairs, self.raw, encoder), label=self.label, tasks=TASKS)
        logits = np.empty(len(rows), dtype=np.float32)
        for number in range(self.config.rank.folds):
            mine = self.fold == number
            train, validation = rows.where(self.sampled & ~mine), rows.where(self.sampled & mine)
            ranker = ranker_of(self.config).fit(train, validation, self.config.seed)
            logits[mine] = ranker.logits(rows.where(mine))[:, 0]
        score = np.full(self.mask.shape, -np.inf, dtype=np.float32)
        score[self.mask] = logits
        rank0, best = best_of_rows(score, AT)
        listed = np.take_along_axis(self.pool.merged.item, np.maximum(rank0, 0), axis=1)
        found = Candidates(np.where(rank0 >= 0, listed, -1), best)
        of_query = ndcg(target_rank0(found, self.targets), self.targets, AT)
        _, user = np.unique(self.pool.queries.user_idx, return_inverse=True)
        mean: Doubles = np.bincount(user, of_query) / np.bincount(user)
        return mean


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a line for each feature."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--users", type=int, default=1_000, help="users that are measured, drawn at random")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    config = configuration.load(options.set, BASE)
    log, _ = read_log(options.source)
    train = PROTOCOLS["leave-one-out"].splits(log)[0].train
    default = declarations.of(config.features, config.optional_features)
    names = optional_names(declarations.blocks(config.features))
    everything = declarations.of(config.features, names)
    measured = Measurement(config, some_users(train, options.users, config.seed), everything)
    before, fraction = measured.ndcg(default), coverage(measured.raw)
    print(f"{'default features':24}{'':>10}{before.mean():>10.4f}  of {len(before):,} users", flush=True)
    for name in [*names, "all"]:
        more = [one for one in everything if one in default or name in (one.column, "all")]
        gain = measured.ndcg(more) - before
        interval = 1.96 * gain.std() / np.sqrt(len(gain))
        has = "" if name == "all" else f"{fraction[name]:.3f}"
        print(f"{name:24}{has:>10}{gain.mean():>+10.4f}  ±{interval:.4f}", flush=True)


if __name__ == "__main__":
    main()
