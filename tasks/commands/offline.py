"""What every channel, the merge and the published list answer to the questions of one split."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models import merge as fusion
from models.candidates import Candidates
from models.dataset import Dataset, Floats, rows_beyond
from models.evaluation import metrics
from models.evaluation.protocols import leave_one_out
from models.evaluation.sampling import small_part, some_queries
from models.evaluation.split import Split
from models.pipeline import holdout as objectives
from models.rank.candidates import MERGED
from models.rank.fit import RankingConfig, fit_ranking
from models.rank.stage import Ranking, blended, order
from models.recall.contract import Recaller
from models.recall.registry import build
from models.recall.two_tower import TwoTower
from tasks.steps.features import READ
from tasks.steps.rank import DEFAULT_RANKER, POOL, pool_of, ranked_lists
from tasks.steps.recall import MAX_USER_EVENTS, fitted

log = logging.getLogger("matinee")

CANDIDATES = 300
"""Distinct candidates in the union, and recalled a query and channel at least."""

TOP_N = 50
"""Films of a published list."""

UNION, PUBLISHED = "union", "published"
"""The models that are made of all channels, beside MERGED."""

BEST = "best_channel"
"""What needs no merge: the one channel that was best on the validation split."""

JUDGED_AT = 10
"""List places looked at to find it, by NDCG."""


@dataclass(frozen=True)
class Plan:
    """What is run, whatever the split."""

    channels: tuple[str, ...]
    """Names of the registry."""
    objective: str
    """What the nightly flow would be told to fit its weights for."""
    seed: int
    """Of every channel that draws at random."""
    width: int
    """Candidates recalled a query and channel."""
    rankers: tuple[str, ...] = ()
    """Names of the registry of rankers: each orders the best of the merged list."""


@dataclass(frozen=True)
class Answers:
    """Lists for the queries of one split by model, and the seconds that fitting the model took."""

    lists: dict[str, Candidates]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Learned:
    """What the held-back part of a log teaches about the lists of all channels."""

    weights: Floats
    """Of the merge; 1 if nothing was held back."""
    rankings: dict[str, Ranking]
    """By the ranker's name; none if too little was held back."""
    best: str
    """The channel with the best NDCG; the first if nothing was held back."""
    seconds: dict[str, float]
    """Of fitting the channels and MERGED, and of each ranker."""


def answers(split: Split, validation: Split, plan: Plan) -> Answers:
    """Of every channel, ranker, MERGED, UNION, BEST and PUBLISHED, fitted on the training part of the split.

    The weights of MERGED are fitted, and BEST is chosen, on ``validation``. Rankers and the published list
    learn from the newest part of the training part, as the nightly flow does, by the same code. Seconds are
    those of all that a list needs.
    """
    fitter = Fitter(plan)
    newest = objectives.validation(split.train, plan.objective)
    some = some_queries(validation, fusion.MAX_QUERIES)
    rankers = tuple(dict.fromkeys((*plan.rankers, DEFAULT_RANKER)))
    # The smaller log first: what learns on goes on from it.
    if newest is None or some.train.n_events < newest.train.n_events:
        blend = learn(some, split.train, fitter, ())
        learned = learn(newest, split.train, fitter, rankers)
    else:
        learned = learn(newest, split.train, fitter, rankers)
        same = newest.digest() == some.digest()
        blend = learned if same else learn(some, split.train, fitter, ())
    recalled = recall(split, fitter, "test")
    log.info("%s is %s: the best on the validation split", BEST, blend.best)
    fitting = sum(recalled.seconds.values())
    rest = fusion.fallback_order(split.train)
    merged = fusion.merge(recalled.lists, blend.weights, split.queries, rest, plan.width).candidates
    ranked = _ranked(recalled.lists, learned, split, plan.rankers)
    of_all = {MERGED: merged, UNION: merged, BEST: recalled.lists[blend.best]}
    seconds = dict.fromkeys(of_all, fitting + blend.seconds[MERGED])
    preparing = fitting + learned.seconds[MERGED]
    seconds |= {name: preparing + learned.seconds[name] for name in plan.rankers}
    seconds |= {PUBLISHED: preparing + learned.seconds[DEFAULT_RANKER]}
    return Answers(recalled.lists | of_all | ranked, recalled.seconds | seconds)


class Fitter:
    """Fits channels; a two-tower model goes on from the log it was last fitted on, as from night to night."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.last: dict[str, tuple[Dataset, TwoTower]] = {}

    def fitted(self, channel: str, log: Dataset) -> Recaller:
        """The channel, fitted on the log and on nothing else."""
        model = build(channel, self.plan.seed)
        if not isinstance(model, TwoTower):
            return fitted(channel, log, MAX_USER_EVENTS, self.plan.seed)
        earlier, before = self.last.get(channel, (None, model))
        if earlier is None or len(rows_beyond(earlier, log)):
            model.fit(log)
        else:
            model.state = before.state
            model.warm(log, rows_beyond(log, earlier))
        self.last[channel] = log, model
        return model


def learn(held_back: Split | None, log: Dataset, fitter: Fitter, rankers: Sequence[str]) -> Learned:
    """Fit the weights of the merge and the rankers on the held-back part of a log."""
    plan = fitter.plan
    seconds = dict.fromkeys((MERGED, *rankers), 0.0)
    if held_back is None:
        return Learned(fusion.equal_weights(len(plan.channels)), {}, plan.channels[0], seconds)
    recalled = recall(held_back, fitter, "validation")
    started = time.perf_counter()
    queries, targets = held_back.queries, held_back.targets
    weights = fusion.fit_weights(recalled.lists, queries, targets.indptr, targets.item)
    seconds[MERGED] = sum(recalled.seconds.values()) + time.perf_counter() - started
    pool, _ = pool_of(recalled.lists, weights, queries, held_back.train)
    rankings = {}
    for ranker in rankers:
        started = time.perf_counter()
        fit = fit_ranking(pool, targets, log, READ, RankingConfig(ranker=ranker, seed=plan.seed))
        if fit is not None:
            rankings[ranker] = fit.ranking
        seconds[ranker] = time.perf_counter() - started
    ndcg = {name: metrics.mean_ndcg(found, targets, JUDGED_AT) for name, found in recalled.lists.items()}
    return Learned(weights, rankings, max(ndcg, key=lambda name: ndcg[name]), seconds)


def _ranked(
    channels: Mapping[str, Candidates], learned: Learned, split: Split, rankers: Sequence[str]
) -> dict[str, Candidates]:
    """Each ranker's own order of the pool, and the published list; the merged order where there is none."""
    pool, merged = pool_of(channels, learned.weights, split.queries, split.train)
    lists = {}
    published = pool.merged.score
    for name, ranking in learned.rankings.items():
        logits = ranking.logits(pool)
        lists[name] = order(merged, blended(pool, logits, 1.0), POOL).candidates
        if name == DEFAULT_RANKER:
            published = blended(pool, logits, ranking.share)
    lists = {name: lists.get(name, pool.merged) for name in rankers}
    return lists | {PUBLISHED: order(merged, published, min(TOP_N, split.train.n_items)).candidates}


def recall(split: Split, fitter: Fitter, part: str) -> Answers:
    """Fit every channel on the training part and ask for the candidates of every query."""
    recalled = Answers({}, {})
    for channel in fitter.plan.channels:
        started = time.perf_counter()
        model = fitter.fitted(channel, split.train)
        fitting = time.perf_counter() - started
        recalled.lists[channel] = model.recommend(split.queries, fitter.plan.width)
        recalled.seconds[channel] = fitting
        asking = time.perf_counter() - started - fitting
        log.info("%-10s  %-18s fit %6.1f s  recall %6.1f s", part, channel, fitting, asking)
    return recalled


def warm_up(dataset: Dataset, plan: Plan) -> None:
    """Have all that is compiled at its first use compiled, so that it does not count as fitting."""
    started = time.perf_counter()
    part = small_part(dataset)
    split = leave_one_out(part)
    queries, targets = split.queries, split.targets
    lists = {name: build(name).fit(split.train).recommend(queries, CANDIDATES) for name in plan.channels}
    weights = fusion.fit_weights(lists, queries, targets.indptr, targets.item)
    pool, merged = pool_of(lists, weights, queries, split.train)
    fit_ranking(pool, targets, part, READ, RankingConfig(ranker=DEFAULT_RANKER))
    ranked_lists(pool, merged, None, TOP_N)
    log.info("%-10s  %-18s     %6.1f s", "warm-up", "", time.perf_counter() - started)
