"""Warm nightly training on one new day against training from scratch: seconds, and who foretells better.

    python -m benchmarks.bench_warm SOURCE [--days 2000-11-20,2000-12-10,2001-06-10]

For each day: a model trained from scratch before the day learns the day as a night does; another one is
trained from scratch on all of it. Both are asked for every event of the next day, from all that its user did
before it. Differences are paired, their intervals over users.
"""

import argparse
import time

import numpy as np

from flows.command.screens.terminal import log_to_terminal
from models.dataset import DAY, Dataset, first_ratings, queries_before
from models.evaluation.bootstrap import BootstrapConfig, percentile_interval, resampled_ratios
from models.evaluation.split import epoch
from models.pipeline.replay import METRICS, values
from models.recall.contract import Recaller
from models.recall.registry import build
from tasks.commands.evaluate import read_log

TOP = 50


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("--days", default="2000-11-20,2000-12-10,2001-06-10")
    parser.add_argument("--channel", default="two_tower")
    options = parser.parse_args()
    log_to_terminal()
    log, _ = read_log(options.source)
    for text in options.days.split(","):
        day = epoch(text)
        yesterday, today = log.before(day), log.before(day + DAY)
        before = build(options.channel).fit(yesterday)
        started = time.perf_counter()
        warm = before.copy()
        news = np.flatnonzero(today.at >= day)
        warm.catch_up(today, news).warm(today, news)
        warm_seconds = time.perf_counter() - started
        started = time.perf_counter()
        cold = build(options.channel).fit(today)
        cold_seconds = time.perf_counter() - started
        print(f"{text}: {len(news):,} new events; warm {warm_seconds:.1f} s, cold {cold_seconds:.1f} s")
        _compare(log, day + DAY, warm, cold)


def _compare(log: Dataset, day: int, warm: Recaller, cold: Recaller) -> None:
    """Both on the events of the day, by users who did something before them."""
    until = log.before(day + DAY)
    rows = np.flatnonzero((until.at >= day) & first_ratings(until))
    rows = rows[rows > until.indptr[until.user_idx[rows]]]
    queries = queries_before(until, rows)
    figures = []
    for model in (warm, cold):
        found = model.recommend(queries, TOP).item == until.item_idx[rows][:, None]
        figures.append(values(np.where(found.any(1), found.argmax(1), -1).astype(np.int32)))
    users, user = np.unique(until.user_idx[rows], return_inverse=True)
    difference = figures[0] - figures[1]
    sums = np.stack([np.bincount(user, column, len(users)) for column in difference.T], axis=1)
    size = np.repeat(np.bincount(user)[:, None], len(METRICS), axis=1).astype(np.float64)
    low, high = percentile_interval(resampled_ratios(sums, size, BootstrapConfig()), 0.95)
    for number, metric in enumerate(METRICS):
        mean = [part[:, number].mean() for part in figures]
        print(
            f"    {metric:<10} warm {mean[0]:.4f}  cold {mean[1]:.4f}  difference {mean[0] - mean[1]:+.4f} "
            f"[{low[number]:+.4f}, {high[number]:+.4f}]  {len(rows):,} events of {len(users):,} users"
        )


if __name__ == "__main__":
    main()
