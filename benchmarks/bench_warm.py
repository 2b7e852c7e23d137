"""Warm nightly training on one new day against training from scratch: seconds, and the better prediction.

    python -m benchmarks.bench_warm SOURCE [--days 2000-11-20,2000-12-10,2001-06-10] [--set KEY=VALUE]...

For each day: the channel that learns on (incremental.channel), trained from scratch before the day, learns
the day as a night does; another one is trained from scratch on all of it. Both predict every event of the
next day from all that its user did before it. Differences are paired, with 95 % intervals over users.
"""

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np

from benchmarks import configuration
from flows.command.screens.terminal import log_to_terminal
from models.dataset import DAY, Dataset, first_ratings, queries_before
from models.evaluation.split import epoch
from models.pipeline.channels import new_incremental
from models.pipeline.replay import Replayed, summary
from models.recall.contract import Recaller
from tasks.commands.evaluate import read_log

TOP = 50
"""Length of the lists."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--days", default="2000-11-20,2000-12-10,2001-06-10")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    config = configuration.load(options.set)
    channel = config.incremental.channel
    if channel is None:
        sys.exit("none of recall.channels learns on")
    log_to_terminal()
    log, _ = read_log(options.source)
    for text in options.days.split(","):
        day = epoch(text)
        yesterday, today = log.before(day), log.before(day + DAY)
        before = new_incremental(config, channel).fit(yesterday)
        started = time.perf_counter()
        new_events = np.flatnonzero(today.at >= day)
        warm = before.copy().catch_up(today, new_events).warm(today, new_events)
        warm_seconds = time.perf_counter() - started
        started = time.perf_counter()
        cold = new_incremental(config, channel).fit(today)
        cold_seconds = time.perf_counter() - started
        size = f"{text}: {len(new_events):,} new events of {channel}"
        print(f"{size}; warm {warm_seconds:.1f} s, cold {cold_seconds:.1f} s")
        compare(log, day + DAY, warm, cold)


def compare(log: Dataset, day: int, warm: Recaller, cold: Recaller) -> None:
    """Print metrics of both on the events of the day, by users who did something before them."""
    until = log.before(day + DAY)
    rows = np.flatnonzero((until.at >= day) & first_ratings(until))
    rows = rows[rows > until.indptr[until.user_idx[rows]]]
    if not len(rows):
        return print("    nobody with a history rated anything on the next day")
    queries, target = queries_before(until, rows), until.item_idx[rows]
    rank0 = {}
    for name, model in (("warm", warm), ("cold", cold)):
        found = model.recommend(queries, TOP).item == target[:, None]
        rank0[name] = np.where(found.any(axis=1), found.argmax(axis=1), -1).astype(np.int32)
    seen = np.ones(len(rows), dtype=np.bool_)
    measured = summary(Replayed(until.user_idx[rows], until.at[rows], seen, rank0), control="cold")
    by_model = {(row.policy, row.metric): row for row in measured if row.slice == "all"}
    for metric in dict.fromkeys(row.metric for row in measured):
        ours, theirs = by_model["warm", metric], by_model["cold", metric]
        less = ours.difference
        print(
            f"    {metric:<10} warm {ours.value:.4f}  cold {theirs.value:.4f}  difference {less.value:+.4f} "
            f"[{less.ci_low:+.4f}, {less.ci_high:+.4f}]  {ours.n_events:,} events of {ours.n_users:,} users"
        )


if __name__ == "__main__":
    main()
