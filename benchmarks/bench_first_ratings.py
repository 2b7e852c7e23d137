"""How much a newcomer's first ratings help: lists for people of whom 0, 1, 3 or 10 ratings are known.

    python -m benchmarks.bench_first_ratings SOURCE [--day 2000-11-20] [--days 7] [--set KEY=VALUE]...

All is learned from what was before the day. Who came in the days from it on is asked for after each of these
numbers of ratings, at the time of the newest of them, and what counts is NDCG@10 on all that they rated after
these: of the list that would be published, and of what is popular with everybody, with the user's segment,
and in first sessions. Differences are paired, with 95 % intervals over users: of the published list to that
with fewer ratings, and to others.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks import configuration
from models.dataset import DAY, Dataset, Doubles, Queries, first_ratings
from models.evaluation.bootstrap import BootstrapConfig, percentile_interval, resampled_ratios
from models.evaluation.leave_out import leave_one_out
from models.evaluation.scores import EvaluationConfig, Evaluator, Scores
from models.evaluation.split import Split, all_items, epoch
from models.pipeline.channels import Fitter
from models.pipeline.offline import PUBLISHED, answers
from models.targets import Targets, offsets
from tasks import declarations
from tasks.commands.evaluate import read_log

HISTORIES, LIST = (0, 1, 3, 10), 10
"""Ratings that are known of a user, length of the lists."""

WITHOUT_TASTE = ("popular", "segment", "first_session")
"""Channels that need no rating of a user."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--day", default="2000-11-20", help="the first one that nothing is learned from")
    parser.add_argument("--days", type=int, default=7)
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    config = configuration.load(options.set)
    log, vocabulary = read_log(options.source)
    begin = epoch(options.day)
    split = split_of(log, begin, begin + options.days * DAY)
    print(f"{len(split.queries) // len(HISTORIES):,} newcomers from {options.day} on")
    declared = declarations.of(config.features, config.optional_features)
    found = answers(config, split, leave_one_out(split.train), (), declared)
    lists = {answer.model: answer.lists for answer in found if answer.model == PUBLISHED}
    fitter = Fitter(config)
    for name in WITHOUT_TASTE:
        lists[name] = fitter.fitted(name, split.train).recommend(split.queries, LIST)
    measured = EvaluationConfig(ks=(LIST,), metrics=("ndcg",))
    evaluator = Evaluator([split], measured, vocabulary.categories)
    _print({name: evaluator.scores([candidates]) for name, candidates in lists.items()})


def split_of(log: Dataset, begin: int, end: int) -> Split:
    """Train on what was before a time; who came until another one is asked for with their first ratings."""
    number = np.arange(log.n_events) - log.indptr[log.user_idx]
    new = first_ratings(log)
    n_wanted = np.bincount(log.user_idx[new & (number >= HISTORIES[-1])], minlength=log.n_users)
    came = log.at[np.minimum(log.indptr[:-1], log.n_events - 1)]
    users = np.flatnonzero((came >= begin) & (came < end) & (n_wanted > 0)).astype(np.int32)
    mine = new & np.isin(log.user_idx, users)
    later = [np.flatnonzero(mine & (number >= n)) for n in HISTORIES]
    count = [np.bincount(log.user_idx[rows], minlength=log.n_users)[users] for rows in later]
    targets = Targets(offsets(np.concatenate(count)), log.item_idx[np.concatenate(later)])
    known, start = np.repeat(HISTORIES, len(users)), np.tile(log.indptr[users], len(HISTORIES))
    newest = np.maximum(start + known - 1, start)
    queries = Queries(np.tile(users, len(HISTORIES)), log.at[newest], start, start + known, log)
    slices = {f"known={n}": known == n for n in HISTORIES}
    return Split("first-ratings", log.before(begin), queries, targets, all_items(log), slices=slices)


def _print(scores: dict[str, Scores]) -> None:
    """A row for each number of ratings: NDCG of all, and the differences of the published list."""
    keys = [(f"known={n}", "ndcg", LIST) for n in HISTORIES]
    published = scores[PUBLISHED].only(keys)
    resampled = {name: _resampled(found.only(keys)) for name, found in scores.items()}
    ours = resampled[PUBLISHED]
    print(f"NDCG@{LIST}; less: published - other, * where 0 is outside the 95 % interval")
    for number, n in enumerate(HISTORIES):
        parts = [f"known {n:2d}  published {published.values()[number]:.4f}"]
        if number:
            fewer = published.values()[number] - published.values()[number - 1]
            parts.append(_less("fewer", fewer, ours[:, number] - ours[:, number - 1]))
        for name in WITHOUT_TASTE:
            less = published.values()[number] - scores[name].only(keys).values()[number]
            parts.append(_less(name, less, ours[:, number] - resampled[name][:, number]))
        print("  ".join(parts))


def _resampled(scores: Scores) -> Doubles:
    """(R, len(HISTORIES)) NDCG in each resample of the users, the same resamples for all models."""
    return resampled_ratios(scores.numerator, scores.denominator, BootstrapConfig())


def _less(name: str, value: float, resampled: Doubles) -> str:
    low, high = percentile_interval(resampled[:, None], BootstrapConfig().level)
    mark = "*" if low[0] > 0 or high[0] < 0 else " "
    return f"less {name} {value:+.4f}{mark} [{low[0]:+.4f}, {high[0]:+.4f}]"


if __name__ == "__main__":
    main()
