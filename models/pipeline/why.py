"""The way of one film for one user: what every stage made of it, and where it was lost.

All is computed as for the published list, by the same functions on the same state, but for cuts: ranks beyond
them say how far a film was from the list.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models import merge
from models.candidates import Candidates
from models.dataset import Queries
from models.features.compute import PastIndex
from models.merge import Merged
from models.pipeline import stages
from models.pipeline.config import PipelineConfig, list_pool, pool_size
from models.pipeline.stages import Lists, Recalled, Shortlist, Stages
from models.rank.attribution import contributions
from models.rank.candidates import Pool
from models.rank.stage import Ranking, order

STAGES = ("seen", "blocked", "shown", "recall", "merge", "prerank", "rank", "rerank", "explore")
"""Where a film can be lost, in their order."""


@dataclass(frozen=True)
class Position:
    """The rank of a film in a list, from 1, and its score there."""

    rank: int
    score: float


@dataclass(frozen=True)
class Ranked:
    """A candidate in the order that is published."""

    final: Position
    """By ranker and merge together."""
    alone: Position | None
    """By the ranker alone, with its log odds; None where it has no say."""
    blend_weight: float
    """Weight of the ranker, 0 to 1."""
    features: Mapping[str, float]
    """Contribution of each feature to the log odds, the weightiest first; empty where it has no say."""


@dataclass(frozen=True)
class Way:
    """Each stage's answer about one film; None from the stage on that it did not reach."""

    recalled: Mapping[str, Position | None]
    """By channel; None where it did not recall the film."""
    contributions: Mapping[str, float]
    """Parts of the merged score that the channels give."""
    merged: Position | None
    """In the merge without its cut; None for a film that was watched, blocked, or shown and filtered."""
    preranked: Position | None
    """By the pre-ranker; None where there is none too."""
    ranked: Ranked | None
    reranked: Position | None
    """In the list that re-ranking chose; None where there is no such stage too."""
    lost: str | None
    """The stage at which it was lost, one of STAGES; None if it is in the list."""
    listed: Position | None = None
    """In the published list."""
    is_drawn: bool = False
    """True if it is there by exploration."""


def way_of(
    config: PipelineConfig,
    recalled: Recalled,
    fitted: Stages,
    queries: Queries,
    past: PastIndex,
    item: int,
    before: Candidates | None = None,
) -> Way:
    """The way of an item for the one query that the candidates of all channels were recalled for.

    ``before`` are the scores that ranking remembered, see :func:`models.pipeline.stages.ranked`.
    """
    found = {name: _position(listed, item) for name, listed in recalled.items()}
    wanted = np.array([[item]], dtype=np.int32)
    given = stages.contributions(config, recalled, fitted.merge, queries, wanted)[0, 0]
    parts = {name: float(part) for name, part in zip(recalled, given, strict=True)}
    merged = _position(_whole_merge(config, recalled, fitted, queries).candidates, item)
    if merged is None:
        lost = _left_out(fitted, queries, item)
        return Way(found, parts, None, None, None, None, lost)
    short = stages.shortlist(config, recalled, fitted, queries, past)
    if not (short.merged.candidates.item == item).any():
        return Way(found, parts, merged, None, None, None, "merge" if any(found.values()) else "recall")
    preranked = _preranked(config, short, recalled, fitted, queries, past, item)
    if not (short.chosen.candidates.item == item).any():
        return Way(found, parts, merged, preranked, None, None, "prerank")
    ranked, whole = _ranked(config, short, fitted.ranking, past, item, before)
    left_out = fitted.shown, fitted.blocked
    lists = stages.published(config, whole.ordered, queries, fitted.reranking, *left_out).candidates
    drawn, _ = stages.explored(config, short.pool, whole.score, lists)
    chosen, listed = (_position(found_in, item) for found_in in (lists, drawn))
    reranked = None if fitted.reranking is None else chosen
    stage = None
    if listed is None:
        cut = "rank" if ranked.final.rank > list_pool(config) else "rerank"
        stage = cut if chosen is None else "explore"
    is_drawn = listed is not None and chosen is None
    return Way(found, parts, merged, preranked, ranked, reranked, stage, listed, is_drawn)


def _whole_merge(config: PipelineConfig, recalled: Recalled, fitted: Stages, queries: Queries) -> Merged:
    """The merged list with all items that are neither seen, nor blocked, nor filtered as they were shown."""
    per_user = stages.for_newcomers(config, recalled, fitted.merge, queries)
    order, left_out = fitted.fallback, (fitted.shown, config.top_n, fitted.blocked)
    return merge.merge(per_user, fitted.merge.weights, queries, order, len(order), *left_out)


def _left_out(fitted: Stages, queries: Queries, item: int) -> str:
    """The filter that an item is lost at which is not in the whole merge of the one query."""
    if (queries.log.item_idx[queries.start[0] : queries.end[0]] == item).any():
        return "seen"
    one = Candidates(np.array([[item]], dtype=np.int32), np.zeros((1, 1), dtype=np.float32))
    is_blocked = fitted.blocked is not None and fitted.blocked.among(one, queries).any()
    return "blocked" if is_blocked else "shown"


def _preranked(
    config: PipelineConfig,
    short: Shortlist,
    recalled: Recalled,
    fitted: Stages,
    queries: Queries,
    past: PastIndex,
    item: int,
) -> Position | None:
    if fitted.preranking is None:
        return None
    merged = short.merged
    least = short.newcomers_until
    score = fitted.preranking.scores(Pool(queries, merged.candidates, recalled), past, least)
    return _position(order(merged, score, merged.candidates.n).candidates, item)


def _ranked(
    config: PipelineConfig,
    short: Shortlist,
    ranking: Ranking | None,
    past: PastIndex,
    item: int,
    before: Candidates | None,
) -> tuple[Ranked, Lists]:
    """The candidate in ranking, and all candidates."""
    queries, active = short.pool.queries, stages.deciding(ranking)
    if queries.with_fewer_than(short.newcomers_until).all():
        active = None  # newcomers keep the merged list
    uncut = config.but(top_n=pool_size(config))
    lists = stages.ranked(uncut, short, active, past, before)
    final = _position(lists.ordered.candidates, item)
    assert final is not None
    if active is None:
        return Ranked(final, None, 0.0, {}), lists
    given = contributions(active, short.pool, past, short.pool.merged.item == item)[0]
    names = [feature.name for feature in active.encoder.schema.features]
    features = {names[number]: float(given[number]) for number in np.argsort(-np.abs(given), kind="stable")}
    by_ranker = _position(lists.ranked, item)
    return Ranked(final, by_ranker, active.blend_weight, features), lists


def _position(listed: Candidates, item: int) -> Position | None:
    """The position of an item in the only list there is."""
    found = np.flatnonzero(listed.item[0] == item)
    return Position(int(found[0]) + 1, float(listed.score[0, found[0]])) if len(found) else None
