"""How much a user's first ratings help: lists for people of whom 0, 1, 3 or 10 ratings are known.

    python -m benchmarks.bench_first_ratings SOURCE [--users 1500] [--set KEY=VALUE]...

Some users are left out of all that is learned. Each is asked for after their first ratings, at the time of
the newest of them, and what counts is NDCG@10 on all that they rated after these: of the list that would be
published, and of what is popular with everybody, with the user's segment, and in first sessions. Differences
are paired, with 95 % intervals over users: of the published list to that with fewer ratings, and to others.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks import configuration
from models.dataset import Dataset, Doubles, Queries, first_ratings
from models.evaluation.bootstrap import BootstrapConfig, percentile_interval, resampled_ratios
from models.evaluation.leave_out import leave_one_out
from models.evaluation.scores import EvaluationConfig, Evaluator, Scores
from models.evaluation.split import Split, all_items
from models.pipeline.channels import Fitter
from models.pipeline.offline import PUBLISHED, answers
from models.targets import Targets, offsets
from tasks import declarations
from tasks.commands.evaluate import read_log

KNOWN, LIST = (0, 1, 3, 10), 10
"""Ratings that are known of a user, length of the lists."""

WITHOUT_TASTE = ("popular", "segment", "first_session")
"""Channels that need no rating of a user."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--users", type=int, default=1500, help="users left out, at most a quarter of all")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    config = configuration.load(options.set)
    log, vocabulary = read_log(options.source)
    split = split_of(log, options.users, config.seed)
    declared = declarations.of(config.features, config.optional_features)
    found = answers(config, split, leave_one_out(split.train), (), declared)
    lists = {answer.model: answer.lists for answer in found if answer.model == PUBLISHED}
    fitter = Fitter(config)
    for name in WITHOUT_TASTE:
        lists[name] = fitter.fitted(name, split.train).recommend(split.queries, LIST)
    measured = EvaluationConfig(ks=(LIST,), metrics=("ndcg",))
    evaluator = Evaluator([split], measured, vocabulary.categories)
    _print({name: evaluator.scores([candidates]) for name, candidates in lists.items()})


def split_of(log: Dataset, n_users: int, seed: int) -> Split:
    """Users left out of the training part, each asked for with the first KNOWN of their ratings."""
    number = np.arange(log.n_events) - log.indptr[log.user_idx]
    new = first_ratings(log)
    able = np.bincount(log.user_idx[new & (number >= KNOWN[-1])], minlength=log.n_users) > 0
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(able))[: min(n_users, log.n_users // 4)]
    users = np.sort(drawn).astype(np.int32)
    left_out = np.isin(log.user_idx, users)
    later = [np.flatnonzero(left_out & new & (number >= n)) for n in KNOWN]
    count = [np.bincount(log.user_idx[rows], minlength=log.n_users)[users] for rows in later]
    targets = Targets(offsets(np.concatenate(count)), log.item_idx[np.concatenate(later)])
    known, begin = np.repeat(KNOWN, len(users)), np.tile(log.indptr[users], len(KNOWN))
    newest = np.maximum(begin + known - 1, begin)
    queries = Queries(np.tile(users, len(KNOWN)), log.at[newest], begin, begin + known, log)
    slices = {f"known={n}": known == n for n in KNOWN}
    return Split("first-ratings", log.where(~left_out), queries, targets, all_items(log), slices=slices)


def _print(scores: dict[str, Scores]) -> None:
    """A row for each number of ratings: NDCG of all, and the differences of the published list."""
    keys = [(f"known={n}", "ndcg", LIST) for n in KNOWN]
    published = scores[PUBLISHED].only(keys)
    resampled = {name: _resampled(found.only(keys)) for name, found in scores.items()}
    ours = resampled[PUBLISHED]
    print(f"NDCG@{LIST}; less: published - other, * where 0 is outside the 95 % interval")
    for number, n in enumerate(KNOWN):
        parts = [f"known {n:2d}  published {published.values()[number]:.4f}"]
        if number:
            fewer = published.values()[number] - published.values()[number - 1]
            parts.append(_less("fewer", fewer, ours[:, number] - ours[:, number - 1]))
        for name in WITHOUT_TASTE:
            less = published.values()[number] - scores[name].only(keys).values()[number]
            parts.append(_less(name, less, ours[:, number] - resampled[name][:, number]))
        print("  ".join(parts))


def _resampled(scores: Scores) -> Doubles:
    """(R, len(KNOWN)) NDCG in each resample of the users, the same resamples for all models."""
    return resampled_ratios(scores.numerator, scores.denominator, BootstrapConfig())


def _less(name: str, value: float, resampled: Doubles) -> str:
    low, high = percentile_interval(resampled[:, None], BootstrapConfig().level)
    mark = "*" if low[0] > 0 or high[0] < 0 else " "
    return f"less {name} {value:+.4f}{mark} [{low[0]:+.4f}, {high[0]:+.4f}]"


if __name__ == "__main__":
    main()
