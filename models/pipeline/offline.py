"""The questions of one split, answered by every channel and after every stage.

Channels, weights and rankers are fitted on the training part of the split by the code of the nightly flow, in
the same order, so the published list is the one that the flow would publish.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models import merge
from models.block_list import block_list
from models.candidates import Candidates
from models.dataset import Dataset, Floats, Queries
from models.evaluation import metrics
from models.evaluation.leave_out import leave_one_out
from models.evaluation.sampling import small_part, some_queries
from models.evaluation.split import Split
from models.features.compute import PastIndex
from models.merge import FittedMerge
from models.pipeline import stages
from models.pipeline.channels import Fitter
from models.pipeline.config import PipelineConfig
from models.pipeline.holdout import holdout, questions
from models.pipeline.stages import Declared, Stages
from models.rank.candidates import MERGED
from models.rank.stage import Ranking
from models.rerank.stage import Reranking

logger = logging.getLogger("matinee")

UNION, PUBLISHED = "union", "published"
"""Models that are made of all channels, beside MERGED."""

BEST = "best_channel"
"""The one channel that was best on the validation split: what needs no merge."""

BEST_AT = 10
"""List length at which it is the best, by NDCG."""


@dataclass(frozen=True)
class ModelLists:
    """The lists of one model for the queries of a split."""

    stage: str
    """recall, merge, prerank, rank, rerank or published."""
    model: str
    """A channel, pre-ranker, ranker, method of re-ranking, or merged, union, best_channel, published."""
    lists: Candidates
    seconds: float
    """Seconds of fitting all that the lists need."""


@dataclass(frozen=True)
class Lesson:
    """All that is fitted on the held-back part of a log, and the seconds that it took."""

    merge: FittedMerge
    preranking: Ranking | None = None
    rankings: dict[str, Ranking] = field(default_factory=dict)
    """By ranker; none if too little was held back."""
    best: str = ""
    """The channel with the best NDCG on the held-back part."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds of fitting MERGED, channels included, PRERANK and each ranker."""


@dataclass(frozen=True)
class Priced:
    """The users whose lists prices are fitted on, and what the stage needs besides."""

    queries: Queries
    recalled: dict[str, Candidates]
    vectors: Floats | None
    """(I, D) of the channel that learns on."""


PRERANK = "prerank"
"""Key of the pre-ranker's seconds."""

NOT_RERANKED = "none"
"""The method of re-ranking that leaves the order of ranking as it is."""


def answers(
    config: PipelineConfig,
    split: Split,
    validation: Split,
    rankers: Sequence[str],
    declared: Declared,
) -> list[ModelLists]:
    """The lists of every channel and ranker, of the merge, pre-ranker and re-ranking, and the published ones.

    The weights of MERGED are fitted, and BEST is chosen, on ``validation``. Pre-ranker, rankers and the
    published list learn from the newest part of the training part, as the nightly flow does.
    """
    fitter = Fitter(config)
    newest = holdout(split.train, config.objective, config.holdout)
    some = some_queries(validation, config.merge.max_queries)
    all_rankers = tuple(dict.fromkeys((*rankers, config.rank.ranker)))
    # The smaller log first: the incremental channel goes on from it.
    if newest is None or some.train.n_events < newest.train.n_events:
        blend = _fit_on_holdout(config, some, split.train, fitter, (), declared)
        lesson = _fit_on_holdout(config, newest, split.train, fitter, all_rankers, declared)
    else:
        lesson = _fit_on_holdout(config, newest, split.train, fitter, all_rankers, declared)
        same = newest.digest() == some.digest()
        blend = lesson if same else _fit_on_holdout(config, some, split.train, fitter, (), declared)
    recalled, fitting = _recall(config, split, fitter, "test")
    logger.info("%s is %s: the best on the validation split", BEST, blend.best)
    all_channels = sum(fitting.values())
    channels = [ModelLists("recall", name, lists, fitting[name]) for name, lists in recalled.items()]
    rest = merge.fallback_order(split.train)
    n = config.recall.candidates
    merged = merge.merge(recalled, blend.merge.weights, split.queries, rest, n).candidates
    seconds = all_channels + blend.seconds[MERGED]
    blends = {MERGED: merged, UNION: merged, BEST: recalled[blend.best]}
    merges = [ModelLists("merge", name, lists, seconds) for name, lists in blends.items()]
    priced = _recall_priced(config, split.train, fitter)
    return [
        *channels,
        *merges,
        *_later_stages(config, recalled, priced, lesson, split, rankers, all_channels),
    ]


def _later_stages(
    config: PipelineConfig,
    recalled: dict[str, Candidates],
    priced: Priced,
    lesson: Lesson,
    split: Split,
    rankers: Sequence[str],
    recall_seconds: float,
) -> list[ModelLists]:
    """The lists after pre-ranking, by each ranker, with and without re-ranking, and the published ones."""
    nobody = np.empty(0, dtype=np.int32)  # of past days nobody reports requests
    blocked = block_list(config.block_list, split.queries.log, nobody, nobody)
    fallback = merge.fallback_order(split.train)
    free = stages.fit_rerank(config, None, split.train, priced.vectors)
    fitted = Stages(lesson.merge, fallback, lesson.preranking, None, free, blocked=blocked)
    past = stages.past_of(split)
    short = stages.shortlist(config, recalled, fitted, split.queries, past)
    seconds = recall_seconds + lesson.seconds[MERGED] + lesson.seconds[PRERANK]
    answers = [ModelLists("prerank", config.prerank.method, short.preranked, seconds)]
    names = tuple(dict.fromkeys((*rankers, config.rank.ranker)))
    for name in names:
        lists = stages.ranked(config, short, lesson.rankings.get(name), past)
        spent = seconds + lesson.seconds[name]
        if name in rankers:
            answers.append(ModelLists("rank", name, lists.ranked, spent))
        if name == config.rank.ranker:
            ordered, ranking_seconds = lists.ordered, spent
    plain = stages.published(config, ordered, split.queries, None).candidates
    if config.rerank.method == NOT_RERANKED:
        return [*answers, ModelLists("published", PUBLISHED, plain, ranking_seconds)]
    started = time.perf_counter()
    reranking = _fit_rerank(config, priced, fitted, lesson.rankings.get(config.rank.ranker), split.train)
    published = stages.published(config, ordered, split.queries, reranking, None, blocked).candidates
    seconds = ranking_seconds + time.perf_counter() - started
    return [
        *answers,
        ModelLists("rerank", NOT_RERANKED, plain, ranking_seconds),
        ModelLists("rerank", config.rerank.method, published, seconds),
        ModelLists("published", PUBLISHED, published, seconds),
    ]


def _fit_rerank(
    config: PipelineConfig, priced: Priced, fitted: Stages, ranking: Ranking | None, log: Dataset
) -> Reranking | None:
    """The re-ranking stage as the nightly flow fits it, after its last step of training."""
    if not len(priced.queries):
        return stages.fit_rerank(config, None, log, priced.vectors)
    past = PastIndex(log, visible_until=log.as_of)
    short = stages.shortlist(config, priced.recalled, fitted, priced.queries, past)
    ordered = stages.ranked(config, short, ranking, past).ordered
    return stages.fit_rerank(config, (ordered, priced.queries), log, priced.vectors)


def _recall_priced(config: PipelineConfig, log: Dataset, fitter: Fitter) -> Priced:
    """The candidates that channels of a log recall for some of its users, one query each, as at night."""
    users = stages.rerank_users(config, log)
    queries = questions(log, config.objective, config.holdout, users)
    learning = None if fitter.incremental is None else fitter.incremental_on(log)
    vectors = None if learning is None else learning.tables().item_embeddings
    if not len(users):
        return Priced(queries, {}, vectors)
    names, n = config.recall.channels, config.recall.candidates
    recalled = {name: fitter.fitted(name, log).recommend(queries, n) for name in names}
    return Priced(queries, recalled, vectors)


def _fit_on_holdout(
    config: PipelineConfig,
    held_back: Split | None,
    log: Dataset,
    fitter: Fitter,
    rankers: Sequence[str],
    declared: Declared,
) -> Lesson:
    """Fit the weights of the merge, and with rankers the later stages, on the held-back part of a log."""
    seconds = dict.fromkeys((MERGED, PRERANK, *rankers), 0.0)
    names = config.recall.channels
    if held_back is None:
        return Lesson(FittedMerge(merge.equal_weights(len(names))), best=names[0], seconds=seconds)
    recalled, fitting = _recall(config, held_back, fitter, "validation")
    started = time.perf_counter()
    merging = stages.fit_merge(config, recalled, held_back)
    seconds[MERGED] = sum(fitting.values()) + time.perf_counter() - started
    ndcg = {name: metrics.mean_ndcg(found, held_back.targets, BEST_AT) for name, found in recalled.items()}
    best = max(ndcg, key=lambda name: ndcg[name])
    if not rankers:
        return Lesson(merging, best=best, seconds=seconds)
    started = time.perf_counter()
    past = stages.past_of(held_back)
    preranking, pool = stages.fit_prerank(config, recalled, merging, held_back, log, declared, past)
    seconds[PRERANK] = time.perf_counter() - started
    rankings = {}
    for name in rankers:
        started = time.perf_counter()
        in_charge = config.but(rank=config.rank.but(ranker=name))
        fit = stages.fit_rank(in_charge, pool, held_back, log, declared, past)
        if fit is not None:
            rankings[name] = fit.ranking
        seconds[name] = time.perf_counter() - started
    return Lesson(merging, None if preranking is None else preranking.ranking, rankings, best, seconds)


def _recall(
    config: PipelineConfig, split: Split, fitter: Fitter, part: str
) -> tuple[dict[str, Candidates], dict[str, float]]:
    """Candidates by channel, fitted on the training part, for every query; seconds of fitting."""
    lists, seconds = {}, {}
    for channel in config.recall.channels:
        started = time.perf_counter()
        model = fitter.fitted(channel, split.train)
        seconds[channel] = time.perf_counter() - started
        lists[channel] = model.recommend(split.queries, config.recall.candidates)
        asking = time.perf_counter() - started - seconds[channel]
        logger.info("%-10s  %-18s fit %6.1f s  recall %6.1f s", part, channel, seconds[channel], asking)
    return lists, seconds


def warm_up(config: PipelineConfig, dataset: Dataset, declared: Declared) -> None:
    """Have all that is compiled at its first use compiled, so that it does not count as fitting."""
    started = time.perf_counter()
    part = small_part(dataset)
    split = leave_one_out(part)
    fitter = Fitter(config)
    n = config.recall.candidates
    recalled = {
        name: fitter.fitted(name, split.train).recommend(split.queries, n) for name in config.recall.channels
    }
    merging = stages.fit_merge(config, recalled, split)
    preranking, pool = stages.fit_prerank(config, recalled, merging, split, part, declared)
    fitted = stages.fit_rank(config, pool, split, part, declared)
    fallback, past = merge.fallback_order(split.train), stages.past_of(split)
    made = Stages(merging, fallback, None if preranking is None else preranking.ranking, None)
    short = stages.shortlist(config, recalled, made, split.queries, past)
    ordered = stages.ranked(config, short, None if fitted is None else fitted.ranking, past).ordered
    reranking = stages.fit_rerank(config, (ordered, split.queries), split.train, None)
    stages.published(config, ordered, split.queries, reranking)
    logger.info("%-10s  %-18s     %6.1f s", "warm-up", "", time.perf_counter() - started)
