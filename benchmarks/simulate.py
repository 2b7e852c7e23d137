"""A simulated month: people watch what they are shown by their own tastes, and a model learns of it.

    python -m benchmarks.simulate [--users 300] [--days 30] [--out docs/simulated.svg]

Films and tastes are those of the synthetic source. Each day everybody is shown ten films twice. Who looks at
a rank (fewer do the lower it is) watches the film with a chance by taste and quality; each user also watches
a film a day that nobody proposed. Every night all is fitted anew: channels, the weights of the merge. In
between, lists follow the new histories. Beside it, in a world of its own, the lists of the first night are
shown for the whole month, without what was watched.

Then experiments of a week, each on an audience of its own, users in arms by the hash of their ids: one
arm gets the merged list and the other what is popular; and, as often, both get the same. What counts is how
many of either the report's test calls significant at 5 %.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from models import merge
from models.dataset import DAY, Dataset, Doubles, Ints, Longs, Mask, queries_at
from models.experiments.buckets import arm_numbers
from models.experiments.comparison import Outcomes, compare
from models.features.compute import PastIndex
from models.merge import FittedMerge
from models.pipeline import stages
from models.pipeline.channels import Fitter
from models.pipeline.config import PipelineConfig
from models.pipeline.holdout import holdout
from models.pipeline.stages import Stages
from models.recall.contract import Recaller
from tasks import config as configuration
from warehouse.sources.synthetic.ratings import TASTE_BY_GROUP, TASTE_OF_ONES_OWN
from warehouse.sources.synthetic.shape import MOVIELENS_1M
from warehouse.sources.synthetic.world import TASTES, make_world

SHOWN, SESSIONS, FIRST_RATINGS = 10, 2, 15
"""Films shown at a time, times a day, ratings of each user before the month."""

BEGIN = 1_000_000_000 // DAY * DAY
"""The first midnight, in epoch seconds."""

LOOKS = 1 / np.sqrt(np.arange(1, SHOWN + 1))
"""Fraction of the users who look at each rank."""

MATCH, QUALITY, RELUCTANCE = 1.5, 0.4, 2.5
"""Weights of taste and quality in the log odds of watching what one looks at, and what is taken off."""

EXPERIMENT_DAYS, LEVEL = 7, 0.05

Lists = Callable[[Dataset], Ints]
"""(U, n) a list for each user of a log."""


@dataclass(frozen=True)
class Audience:
    """U users and I films in the space of tastes."""

    log_odds: Doubles  # (U, I) of watching a film that is looked at
    renown: Doubles  # (I,) how known films are

    @classmethod
    def of(cls, n_users: int, n_films: int, seed: int) -> "Audience":
        """An audience of the synthetic source's world."""
        rng = np.random.default_rng(seed)
        world = make_world(n_films, MOVIELENS_1M, rng)
        taste = rng.normal(0, np.hypot(TASTE_BY_GROUP, TASTE_OF_ONES_OWN), (n_users, TASTES))
        odds = MATCH * taste @ world.taste.T + QUALITY * world.quality - RELUCTANCE
        return cls(odds, world.renown)

    def watches(self, shown: Ints, rng: np.random.Generator) -> Mask:
        """(U, n) which films of their lists (U, n), padded with -1, the users watch."""
        wanted = 1 / (1 + np.exp(-np.take_along_axis(self.log_odds, np.maximum(shown, 0), axis=1)))
        chance = LOOKS[: shown.shape[1]] * wanted
        watched: Mask = (rng.random(shown.shape) < chance) & (shown >= 0)
        return watched

    def by_themselves(self, n: int, log: Dataset | None, rng: np.random.Generator) -> Ints:
        """(U, n) films that the users find without being shown them, none of those in the log."""
        score = self.log_odds + np.log(self.renown) + rng.gumbel(size=self.log_odds.shape)
        if log is not None:
            score[log.user_idx, log.item_idx] = -np.inf
        return np.argsort(-score, axis=1)[:, :n].astype(np.int32)


def first_log(audience: Audience, rng: np.random.Generator) -> Dataset:
    """What the users watched in the month before, by themselves."""
    n_users, n_films = audience.log_odds.shape
    nothing = np.empty(0, dtype=np.int32)
    empty = Dataset(
        nothing, nothing, np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64), n_users, n_films, BEGIN
    )
    item = audience.by_themselves(FIRST_RATINGS, None, rng)
    at = np.sort(BEGIN - rng.integers(1, 30 * DAY, item.shape), axis=1)
    return _with(empty, np.repeat(np.arange(n_users), FIRST_RATINGS), item.ravel(), at.ravel(), BEGIN)


def _with(log: Dataset, user: Longs, item: Ints, at: Longs, as_of: int) -> Dataset:
    """The log with further events."""
    users, items, times = (
        np.concatenate(pair) for pair in ((log.user_idx, user), (log.item_idx, item), (log.at, at))
    )
    order = np.lexsort((times, users))
    return Dataset(
        users[order].astype(np.int32),
        items[order].astype(np.int32),
        np.full(len(users), 4, dtype=np.float32),
        times[order].astype(np.int64),
        log.n_users,
        log.n_items,
        as_of,
    )


@dataclass(frozen=True)
class Release:
    """What a night has learned."""

    config: PipelineConfig
    channels: dict[str, Recaller]
    merging: FittedMerge
    fallback: Ints

    def lists(self, log: Dataset) -> Ints:
        """(U, n) the list of each user by all of the log."""
        queries, past = queries_at(log), PastIndex(log)
        n = self.config.recall.candidates
        recalled = {name: channel.recommend(queries, n) for name, channel in self.channels.items()}
        short = stages.shortlist(
            self.config, recalled, Stages(self.merging, self.fallback, None, None), queries, past
        )
        ordered = stages.ranked(self.config, short, None, past).ordered
        return stages.published(self.config, ordered, queries, None).candidates.item


def nightly(config: PipelineConfig, log: Dataset) -> Release:
    """Fit the channels on the log, and the merge on the newest part of it."""
    fitter, names = Fitter(config), config.recall.channels
    merging = FittedMerge(merge.equal_weights(len(names)))
    held_back = holdout(log, config.objective, config.holdout)
    if held_back is not None:
        queries, n = held_back.queries, config.recall.candidates
        recalled = {name: fitter.fitted(name, held_back.train).recommend(queries, n) for name in names}
        merging = stages.fit_merge(config, recalled, held_back)
    channels = {name: fitter.fitted(name, log) for name in names}
    return Release(config, channels, merging, merge.fallback_order(log))


def live(
    audience: Audience, log: Dataset, lists: Lists, day: int, rng: np.random.Generator
) -> tuple[Dataset, Doubles, Doubles]:
    """A day: the log after it; films shown to and watched by each user (U,) each."""
    n_users = log.n_users
    n_shown, n_watched = np.zeros(n_users), np.zeros(n_users)
    for session in range(SESSIONS):
        at = BEGIN + day * DAY + (session + 1) * DAY // (SESSIONS + 1)
        shown = lists(log)[:, :SHOWN]
        watched = audience.watches(shown, rng)
        n_shown += (shown >= 0).sum(axis=1)
        n_watched += watched.sum(axis=1)
        user, rank0 = np.nonzero(watched)
        log = _with(log, user, shown[user, rank0], np.full(len(user), at), at + 1)
    own = audience.by_themselves(1, log, rng)[:, 0]
    evening = np.full(n_users, BEGIN + (day + 1) * DAY - 1)
    log = _with(log, np.arange(n_users), own, evening, BEGIN + (day + 1) * DAY)
    return log, n_shown, n_watched


def frozen(published: Ints) -> Lists:
    """The lists of one release for ever, without what was watched since."""

    def lists(log: Dataset) -> Ints:
        seen = np.zeros((log.n_users, log.n_items + 1), dtype=np.bool_)
        seen[log.user_idx, log.item_idx] = True
        left = (published >= 0) & ~np.take_along_axis(seen, published, axis=1)
        order = np.argsort(~left, axis=1, kind="stable")
        return np.take_along_axis(np.where(left, published, -1), order, axis=1)

    return lists


def month(audience: Audience, config: PipelineConfig, days: int, seed: int) -> dict[str, Doubles]:
    """Watched fraction of what was shown, by day, of both worlds."""
    start = first_log(audience, np.random.default_rng(seed))
    first = nightly(config, start)
    fractions: dict[str, Doubles] = {}
    for name in ("learning", "frozen"):
        log, release, rng = start, first, np.random.default_rng(seed + 1)
        as_published = frozen(first.lists(start))
        daily = []
        for day in range(days):
            if day and name == "learning":
                release = nightly(config, log)
            lists = release.lists if name == "learning" else as_published
            log, n_shown, n_watched = live(audience, log, lists, day, rng)
            daily.append(n_watched.sum() / max(1.0, n_shown.sum()))
        fractions[name] = np.array(daily)
    return fractions


def is_significant(audience: Audience, config: PipelineConfig, planted: bool, seed: int) -> bool:
    """Whether the report calls a difference of two arms significant, which there is if ``planted``."""
    log = first_log(audience, np.random.default_rng(seed))
    best = nightly(config, log)
    popular = replace(
        best, channels={"popular": best.channels["popular"]}, merging=FittedMerge(merge.equal_weights(1))
    )
    arm = arm_numbers(np.arange(log.n_users), [f"{seed}-control", f"{seed}-other"], [0.5, 0.5], "rest")
    before = np.diff(log.indptr).astype(np.float64)

    def lists(now: Dataset) -> Ints:
        found = best.lists(now)
        return np.where((arm == 0)[:, None], popular.lists(now), found) if planted else found

    rng, shown, watched = np.random.default_rng(seed + 1), np.zeros(log.n_users), np.zeros(log.n_users)
    for day in range(EXPERIMENT_DAYS):
        log, n_shown, n_watched = live(audience, log, lists, day, rng)
        shown, watched = shown + n_shown, watched + n_watched
    found = compare(Outcomes(arm, shown, watched, before), 1, 0).adjusted
    return found.p_value < LEVEL and (found.value > 0 or not planted)


def plot(fractions: dict[str, Doubles], file: Path) -> None:
    """The watched fraction by day."""
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for name, values in fractions.items():
        axes.plot(np.arange(1, len(values) + 1), values, label=name)
    axes.set_xlabel("day")
    axes.set_ylabel("watched of shown")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    figure.savefig(file, metadata={"Date": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the weeks of the month and the counts of significant experiments; write the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--films", type=int, default=400)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--experiments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file of the plot")
    options = parser.parse_args(arguments)
    config = configuration.load(
        {
            "recall": {"channels": ["popular", "item_cf", "ease"], "candidates": 100},
            "merge": {"newcomers": "popular", "max_queries": 500},
            "rerank": {"method": "none"},
            "rank": {"pool": 100},
            "holdout": {"min_targets": 1000},
        }
    )
    audience = Audience.of(options.users, options.films, options.seed)
    fractions = month(audience, config, options.days, options.seed)
    for begin in range(0, options.days, 7):
        week = {name: values[begin : begin + 7].mean() for name, values in fractions.items()}
        print(
            f"days {begin + 1:2d} to {min(begin + 7, options.days):2d}  watched of shown: "
            f"learning {week['learning']:.4f}, frozen {week['frozen']:.4f}",
            flush=True,
        )
    if options.out is not None:
        plot(fractions, options.out)
    for name, planted in (("a better arm", True), ("no difference", False)):
        seeds = range(options.seed, options.seed + options.experiments)
        audiences = (Audience.of(options.users, options.films, seed) for seed in seeds)
        pairs = zip(audiences, seeds, strict=True)
        found = sum(is_significant(people, config, planted, seed) for people, seed in pairs)
        print(f"{name}: significant in {found} of {options.experiments} experiments", flush=True)


if __name__ == "__main__":
    main()
