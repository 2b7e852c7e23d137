r"""Rows of idle ids given to active ones by night: what it does to the lists of a model with hashed ids.

    python -m benchmarks.bench_retirement SOURCE [--channel two_tower] [--since 2000-11-01] [--weeks 7] \
        [--days 7,30,90] [--set KEY=VALUE]...

Trains the channel, with hashed ids of users and films, on the log before a day, then lets it learn on from
week to week. Every week it is asked for the events of the next one by users with a history, each before it
happens: models that retire ids after so many days without an event, or never. Moved are rows that are now
another id's.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, date, datetime, time

import numpy as np

from benchmarks import configuration
from flows.command.screens.terminal import log_to_terminal
from models.dataset import DAY, Dataset, Longs, queries_before
from models.evaluation import metrics
from models.pipeline.channels import new_incremental
from models.recall.contract import Incremental
from models.sampling import spread
from models.targets import one_each
from tasks.commands.evaluate import read_log
from tasks.config import Configuration

WEEK = 7 * DAY
NEVER = float("inf")

TOP = 10
"""Length of the lists that are compared."""

ASKED = 4_000
"""Events of a week that are asked for, at most."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--channel", default="two_tower")
    parser.add_argument("--since", type=date.fromisoformat, default=date(2000, 11, 1))
    parser.add_argument("--weeks", type=int, default=7)
    parser.add_argument("--days", default="7,30,90")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    log_to_terminal()
    log, _ = read_log(options.source)
    since = int(datetime.combine(options.since, time(), UTC).timestamp())
    weeks = since + WEEK * np.arange(options.weeks)
    first = model_of(options.set, options.channel, NEVER).fit(log.before(since))
    for days in [*(float(text) for text in options.days.split(",")), NEVER]:
        model = model_of(options.set, options.channel, days)
        model.state = first.state
        hr, ndcg = np.mean([week(model, log, at, since) for at in weeks], axis=0)
        moved = {
            side: int(((model.state[f"rows.{side}"] != first.state[f"rows.{side}"])[:, 0]).sum() // 2)
            for side in ("user", "item")
        }
        print(
            f"retired after {days:5g} days  HR@10 {hr:.4f}  NDCG@10 {ndcg:.4f}  "
            f"rows moved: {moved['user']} of users, {moved['item']} of films",
            flush=True,
        )


def model_of(settings: list[str], channel: str, days: float) -> Incremental:
    """The channel that has learned nothing yet, with hashed ids of both sides."""
    towers = {"ids": "hashed", "user_id": True, "item_rate": 0.275, "retire_after": days}
    base = {"recall": {"channels": [channel]}, "channels": {channel: {"towers": towers}}}
    config: Configuration = configuration.load(settings, base)
    return new_incremental(config, channel)


def week(model: Incremental, log: Dataset, at: int, since: int) -> tuple[float, float]:
    """Let it learn the week before; HR@10 and NDCG@10 of the events of the week that begins then."""
    before = log.before(at)
    if at > since:
        model.warm(before, np.flatnonzero(before.at >= at - WEEK))
    rows = asked(log, before, at)
    targets = one_each(log, rows)
    rank0 = metrics.target_rank0(model.recommend(queries_before(log, rows), TOP), targets)
    return float((rank0 < TOP).mean()), float(metrics.ndcg(rank0, targets, TOP).mean())


def asked(log: Dataset, before: Dataset, at: int) -> Longs:
    """Rows of the week, evenly spread, of users who had a history when it began."""
    has_history = np.diff(before.indptr) > 0
    in_week = (log.at >= at) & (log.at < at + WEEK) & has_history[log.user_idx]
    rows = np.flatnonzero(in_week)
    return rows[spread(len(rows), ASKED)]


if __name__ == "__main__":
    main()
