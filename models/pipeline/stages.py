"""The published list: the channels' candidates merged, pre-ranked, ranked, re-ranked, cut.

Defined here and nowhere else, from arrays to arrays. The nightly and hourly flows and offline evaluation call
these functions on candidates that they recalled, whatever they read and write around it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from models import merge
from models.behaviour import Behaviour
from models.block_list import BlockList
from models.candidates import Candidates
from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Mask, Queries
from models.evaluation import metrics
from models.evaluation.split import Split
from models.exposures import ExposureLog, Shown, behind
from models.features.compute import PastIndex
from models.features.declare import Declaration
from models.merge import FittedMerge, Merged
from models.pipeline.config import PipelineConfig, list_pool, pool_size, ranker_of
from models.prerank.stage import FittedPreranking, best_of, fit_preranking
from models.rank.candidates import MERGED, Pool
from models.rank.exposed import emphasis
from models.rank.fit import Fitted, Z, fit_ranking
from models.rank.memory import averaged, earlier_scores
from models.rank.stage import Ranking, blended, order
from models.rerank.exploration import draw
from models.rerank.stage import Reranking, fresh_wanted, new_reranking

Recalled = Mapping[str, Candidates]
"""Candidates of the same B queries by channel."""

OrderedPools = tuple[Merged, Queries]
"""Candidates in the order of ranking, from which lists are made, and the queries that they answer."""

Declared = tuple[Declaration, ...]
"""Features that rankers read."""

MIN_USERS = 100
"""Users of the holdout that it takes to say who is a newcomer: fewer have no reliable standard error."""


@dataclass(frozen=True)
class Stages:
    """All that making one list of the channels' candidates goes by."""

    merge: FittedMerge
    fallback: Ints  # (I,) the order of all items that lists are filled up from
    preranking: Ranking | None
    """None where the merged list decides who is ranked."""
    ranking: Ranking | None
    """None where too little was held back: the merged list is published."""
    reranking: Reranking | None = None
    """None where lists are not re-ranked."""
    shown: Shown | None = None
    """None where nothing counts as shown."""
    blocked: BlockList | None = None
    """None where nothing is blocked."""


@dataclass(frozen=True)
class Shortlist:
    """The candidates of B queries that are ranked, and where they come from."""

    merged: Merged
    preranked: Candidates
    """By the pre-ranker's score; the merged list where there is none."""
    chosen: Merged
    """The candidates that are ranked, in the order of the merge."""
    pool: Pool
    """The same with what every channel says of them, and scores before discounts, as rankers know them."""
    discount: Floats  # (B, n)
    """How much of their merged score the chosen ones have lost by being shown."""
    newcomers_until: int
    """Ratings below which a user is a newcomer, who keeps the merged list."""
    shown: Shown | None = None
    blocked: BlockList | None = None


@dataclass(frozen=True)
class Lists:
    """One list a query, best first."""

    ranked: Candidates
    """By the ranker alone."""
    ordered: Merged
    """By ranker and merge together: what lists are made from."""
    score: Floats  # (B, n)
    """The scores of all candidates that are ranked, before filters and discounts: a later release remembers
    them."""
    earlier: Floats  # (B, n)
    """The scores that were remembered of an earlier release; nan without."""


def newcomers_until(config: PipelineConfig, fitted: int | None) -> int:
    """Ratings with which a user is a newcomer no more; ``fitted`` is what the merge learned of that.

    That taste says less than what newcomers rate first was measured for whole days alone (objective daily).
    """
    if config.objective != "daily":
        return 1
    most = config.merge.newcomers_until
    return most if fitted is None else min(most, fitted)


def for_newcomers(
    config: PipelineConfig, recalled: Recalled, fitted: FittedMerge, queries: Queries
) -> dict[str, Candidates]:
    """The recalled lists: all channels' for most users, one channel's alone for newcomers."""
    least = newcomers_until(config, fitted.newcomers_until)
    return merge.newcomers_from(recalled, config.merge.newcomers, queries, least)


def past_of(split: Split) -> PastIndex:
    """The log of the queries of a split as features look it up; all of them see what models learn from."""
    return PastIndex(split.queries.log, visible_until=split.train.as_of)


def fit_merge(config: PipelineConfig, recalled: Recalled, holdout: Split) -> FittedMerge:
    """The weights of the channels, and who is a newcomer, by what the channels recalled for the holdout."""
    weights = _fit_weights(config, recalled, holdout, newcomers_until(config, None))
    until = _fit_newcomers_until(config, recalled, weights, holdout)
    return FittedMerge(weights if until is None else _fit_weights(config, recalled, holdout, until), until)


def _regulars(queries: Queries, least: int) -> Longs:
    """The numbers of the queries of users with at least so many ratings; all if those are too few users.

    In the lists of newcomers the weights have no say.
    """
    rows = np.flatnonzero(~queries.with_fewer_than(least))
    return rows if len(np.unique(queries.user_idx[rows])) >= MIN_USERS else np.arange(len(queries))


def _fit_weights(config: PipelineConfig, recalled: Recalled, holdout: Split, least: int) -> Floats:
    """(C, 3) the weights of the channels, by the queries of users with at least so many ratings."""
    queries, targets = holdout.queries, holdout.targets
    among = _regulars(queries, least)
    return merge.fit_weights(recalled, queries, targets.indptr, targets.item, config.merge, among)


def _fit_newcomers_until(
    config: PipelineConfig, recalled: Recalled, weights: Floats, holdout: Split
) -> int | None:
    """Ratings from which on all channels do most good in place of the one for newcomers, by NDCG.

    None where the holdout has too few users to tell, or the difference could be chance.
    """
    length = holdout.queries.end - holdout.queries.start
    is_between = (length >= 1) & (length < newcomers_until(config, None))
    if len(np.unique(holdout.queries.user_idx[is_between])) < MIN_USERS:
        return None
    targets, rows = holdout.targets.where(is_between[holdout.targets.query])
    queries, fallback = holdout.queries.take(rows), merge.fallback_order(holdout.train)
    lists, n = {name: found.take(rows) for name, found in recalled.items()}, config.rank.ndcg_at

    def ndcg(least: int) -> Doubles:
        per_user = merge.newcomers_from(lists, config.merge.newcomers, queries, least)
        found = merge.merge(per_user, weights, queries, fallback, n).candidates
        return metrics.ndcg(metrics.target_rank0(found, targets), targets, n)

    gain = ndcg(1) - ndcg(int(length[rows].max()) + 1)
    until = int(np.argmax(np.cumsum(np.bincount(length[rows], gain)[::-1])[::-1][1:])) + 1
    gain, users = gain[length[rows] >= until], queries.user_idx[length[rows] >= until]
    is_sure = len(np.unique(users)) >= MIN_USERS and gain.mean() > Z * metrics.clustered_error(gain, users)
    return until if is_sure else None


def fit_prerank(
    config: PipelineConfig,
    recalled: Recalled,
    merging: FittedMerge,
    holdout: Split,
    log: Dataset,
    declared: Declared,
    past: PastIndex | None = None,
) -> tuple[FittedPreranking | None, Pool]:
    """The pre-ranker, and the candidates of the holdout's queries that it leaves to ranking.

    They are chosen by pre-rankers that have not learned from their users, so that a ranker may learn from
    them. ``log`` has the ratings of the holdout's targets; nothing else of it is read. None where the merged
    list decides, or where recall found too few targets to learn from. ``past`` is of the log of the queries,
    and made of it if it is not given.
    """
    past = past or past_of(holdout)
    fallback = merge.fallback_order(holdout.train)
    merged = merged_lists(config, recalled, merging, holdout.queries, fallback)
    everything = Pool(holdout.queries, merged.candidates, recalled)
    least = newcomers_until(config, merging.newcomers_until)
    fitted = fit_preranking(
        everything, holdout.targets, log, declared, config.prerank, config.seed, past, least
    )
    n = pool_size(config)
    chosen = merge.first(merged, n) if fitted is None else best_of(merged, fitted.scores, n)
    return fitted, Pool(holdout.queries, chosen.candidates, recalled)


def fit_rank(
    config: PipelineConfig,
    pool: Pool,
    holdout: Split,
    log: Dataset,
    declared: Declared,
    past: PastIndex | None = None,
    exposures: ExposureLog | None = None,
    behaviour: Behaviour | None = None,
) -> Fitted | None:
    """The ranker, fitted on the candidates of the holdout's queries; None if too few of them are targets.

    ``exposures`` are those since the beginning of the holdout, where they are logged.

    Raises:
        ValueError: a weight is given to a task that ``behaviour`` has no labels of.
    """
    targets = holdout.targets
    shown = None if exposures is None else emphasis(pool, targets, log, exposures, config.exposure)
    of_ranker = config.rank, ranker_of(config), config.seed
    past = past or past_of(holdout)
    return fit_ranking(pool, targets, log, declared, *of_ranker, past, shown, behaviour)


def shortlist(
    config: PipelineConfig, recalled: Recalled, stages: Stages, queries: Queries, past: PastIndex
) -> Shortlist:
    """The candidates that are ranked for queries about a log, whose index ``past`` is."""
    left_out, least = (stages.shown, stages.blocked), newcomers_until(config, stages.merge.newcomers_until)
    merged = merged_lists(config, recalled, stages.merge, queries, stages.fallback, *left_out)
    if (wanted := _fresh_wanted(config)) and stages.reranking is not None:
        merged = _with_fresh(config, merged, recalled, stages, queries, wanted)
    n = pool_size(config)
    preranked, chosen = merged.candidates, merge.first(merged, n)
    if stages.preranking is not None:
        everything = Pool(queries, merged.candidates, recalled)
        score = stages.preranking.scores(everything, past, least)
        preranked, chosen = order(merged, score, n).candidates, best_of(merged, score, n)
        if wanted and stages.reranking is not None:
            reserve = merge.first_among(merged, stages.reranking.fresh, wanted)
            chosen = merge.with_least(chosen, reserve, stages.reranking.fresh, wanted)
    found, discount = chosen.candidates, _discounts(chosen.candidates, queries, stages.shown)
    pool = Pool(queries, Candidates(found.item, found.score + discount), recalled)
    return Shortlist(merged, preranked, chosen, pool, discount, least, *left_out)


def deciding(ranking: Ranking | None) -> Ranking | None:
    """The ranking stage, or None if its ranker has no weight: it need not be computed."""
    return ranking if ranking is not None and ranking.blend_weight else None


def ranked(
    config: PipelineConfig,
    short: Shortlist,
    ranking: Ranking | None,
    past: PastIndex,
    before: Candidates | None = None,
) -> Lists:
    """The lists of queries whose candidates are given; without a ranker in the order of the merge.

    ``before`` are scores that the ranking remembers of an earlier release, as
    :func:`models.rank.memory.earlier_scores` reads them.
    """
    n, chosen = min(list_pool(config), past.log.n_items), short.chosen.candidates
    nothing = np.full(chosen.item.shape, np.nan, dtype=np.float32)
    if ranking is None:
        return Lists(chosen, merge.first(short.chosen, n), chosen.score, nothing)
    logits = ranking.logits(short.pool, past)
    least = short.newcomers_until
    alone = order(short.chosen, blended(short.pool, logits, 1.0, least), chosen.n)
    earlier = nothing if before is None else earlier_scores(chosen.item, before, past.log.n_items)
    score = averaged(blended(short.pool, logits, ranking.blend_weight, least), earlier, ranking.memory)
    final = _filtered(short, score - short.discount)
    return Lists(alone.candidates, order(short.chosen, final, n), score, earlier)


def fit_rerank(
    config: PipelineConfig,
    pools: OrderedPools | None,
    log: Dataset,
    vectors: Floats | None,
    before: Floats | None = None,
) -> Reranking | None:
    """The re-ranking stage, its prices fitted on the pools of ``rerank_users``, if there are any.

    ``log`` says which films are fresh or rarely rated, ``vectors`` (I, D) are those of the channel that
    learns on, None without one; ``before`` (I,) are the prices of the release before. None if lists are not
    re-ranked.
    """
    if config.rerank.method == "none":
        return None
    stage = new_reranking(config.rerank, log, vectors, config.seed, before)
    return stage if pools is None else stage.priced(*pools)


def rerank_users(config: PipelineConfig, log: Dataset) -> Ints:
    """The users with a history (B,), ascending, whose lists prices are fitted on; none where no cap is."""
    users = np.flatnonzero(np.diff(log.indptr)).astype(np.int32)
    if config.rerank.method == "none" or config.rerank.cap.fraction >= 1:
        return users[:0]
    n = config.rerank.cap.max_users
    return users if len(users) <= n else np.sort(np.random.default_rng(config.seed).choice(users, n, False))


def published(
    config: PipelineConfig,
    ordered: Merged,
    queries: Queries,
    reranking: Reranking | None,
    shown: Shown | None = None,
    blocked: BlockList | None = None,
) -> Merged:
    """The published lists, from what ranking ordered; what only fills a list up stays at its end."""
    n = min(config.top_n, queries.log.n_items)
    if reranking is None:
        return merge.first(ordered, n)
    listed = reranking.lists(ordered, queries, n)
    is_last = np.zeros(listed.candidates.item.shape, dtype=bool)
    for mask in _filling_up(listed.candidates, queries, shown, blocked):
        is_last |= mask
    return merge.last(listed, is_last)  # which quotas and rules may have brought forward


def explored(
    config: PipelineConfig, pool: Pool, score: Floats, listed: Candidates
) -> tuple[Candidates, Doubles]:
    """Published lists with films of their pools drawn in at random, and the propensities (B, n) of all.

    ``score`` (B, K) is that of ranking for the candidates of the pool.
    """
    if not config.exploration.rate:
        return listed, np.ones(listed.item.shape)
    left = rejected(Candidates(pool.merged.item, score), listed)
    return draw(listed, left, pool.queries, config.exploration.rate, config.seed)


def _discounts(candidates: Candidates, queries: Queries, shown: Shown | None) -> Floats:
    """(B, n) how much of their merged score candidates have lost by being shown."""
    if shown is None or shown.is_filtered:
        return np.zeros(candidates.item.shape, dtype=np.float32)
    return np.where(shown.among(candidates, queries), np.float32(shown.discount), np.float32(0))


def _filtered(short: Shortlist, score: Floats) -> Floats:
    """(B, n) the scores, by which what is filtered or blocked and fills a list up stays at its end."""
    for is_last in _filling_up(short.chosen.candidates, short.pool.queries, short.shown, short.blocked):
        score = behind(score, is_last)
    return score


def _filling_up(
    candidates: Candidates, queries: Queries, shown: Shown | None, blocked: BlockList | None
) -> Iterator[Mask]:
    """(B, n) the candidates that only fill a list up: those that are filtered as shown, then the blocked."""
    if shown is not None and shown.is_filtered:
        yield shown.among(candidates, queries)
    if blocked is not None:
        yield blocked.among(candidates, queries)


def merged_lists(
    config: PipelineConfig,
    recalled: Recalled,
    merging: FittedMerge,
    queries: Queries,
    fallback: Ints,
    shown: Shown | None = None,
    blocked: BlockList | None = None,
) -> Merged:
    """The channels' candidates in one list a query, filled up from an order of all items (I,).

    Newcomers get what the channel for newcomers recalls, and nothing else. The lists are as
    long as the stages after this one need them; what is filtered because it was shown, or blocked, only
    completes what is published.
    """
    n = pool_size(config) if config.prerank.method == MERGED else max(config.prerank.pool, pool_size(config))
    per_user = for_newcomers(config, recalled, merging, queries)
    n_items = len(fallback)
    left_out = shown, config.top_n, blocked
    return merge.merge(per_user, merging.weights, queries, fallback, min(n, n_items), *left_out)


def _fresh_wanted(config: PipelineConfig) -> int:
    """Candidates for the quota of fresh films: twice as many as it asks for, as some need no quota."""
    return 0 if config.rerank.method == "none" else 2 * fresh_wanted(config.rerank, config.top_n)


def _with_fresh(
    config: PipelineConfig,
    merged: Merged,
    recalled: Recalled,
    stages: Stages,
    queries: Queries,
    wanted: int,
) -> Merged:
    """The merged lists with as many fresh films as wanted, of those that channels recalled."""
    assert stages.reranking is not None
    per_user, fresh = for_newcomers(config, recalled, stages.merge, queries), stages.reranking.fresh
    left_out = stages.shown, 0, stages.blocked
    best = merge.merge(
        per_user, stages.merge.weights, queries, stages.fallback, wanted, *left_out, only=fresh
    )
    best.candidates.item[best.channels == 0] = -1  # from the order of all items
    return merge.with_least(merged, best, fresh, wanted)


def contributions(
    config: PipelineConfig, recalled: Recalled, merging: FittedMerge, queries: Queries, item: Ints
) -> Floats:
    """(B, n, C) the parts of the merged score of each item (B, n) that the channels give."""
    per_user = for_newcomers(config, recalled, merging, queries)
    return merge.contributions(per_user, merging.weights, item, queries.log.n_items)


def rejected(pool: Candidates, published: Candidates) -> Candidates:
    """(B, n) candidates that ranking had to choose from and did not publish; -1 and -inf at the others."""
    query = np.arange(len(pool.item), dtype=np.int64)[:, None]
    width = int(pool.item.max(initial=0)) + 2  # padding, -1, is no item of the query before
    listed = np.isin(query * width + pool.item, query * width + published.item)
    left = ~listed & (pool.item >= 0)
    item = np.where(left, pool.item, -1).astype(np.int32)
    return Candidates(item, np.where(left, pool.score, -np.inf).astype(np.float32))
