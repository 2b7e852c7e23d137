"""The pre-ranking stage: from the best thousand of the merged list to the few hundred that ranking affords.

A pre-ranker is a ranking stage of its own, over the features that are cheap: those of one side alone and
the scores of channels, none of a user and an item together. It decides which candidates are left, never
their order: what is left keeps the order of the merged list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from pydantic import Field, PositiveInt, field_validator

from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Floats, Ints
from models.features.compute import PastIndex
from models.features.declare import Declaration
from models.merge import Merged
from models.prerank.registry import PRE_RANKERS, build_pre_ranker
from models.rank.candidates import MERGED, Pool, Sampling
from models.rank.constraints import Folds
from models.rank.cross_fit import cross_fit
from models.rank.stage import Ranking, blended, restore_ranking
from models.state import State
from models.targets import Targets
from models.top_n import best_of_rows


class PrerankConfig(Config):
    """Pre-ranking: the candidates that are left to ranking."""

    method: str = MERGED
    """Pre-ranker that chooses the candidates; merged: the best of the merged list."""
    pool: PositiveInt = 1000
    """Candidates of the merged list that a pre-ranker chooses from: more than `rank.pool`."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the pre-ranker."""
    sampling: Sampling = Sampling(negative_rate=0.05)
    """Candidates that pre-rankers learn from."""
    folds: Folds = 3
    """Pre-rankers trained, each without the users of one fold; their mean chooses."""

    @field_validator("method")
    @classmethod
    def _exists(cls, method: str) -> str:
        choices = (MERGED, *PRE_RANKERS)
        if method not in choices:
            raise ValueError(f"unknown pre-ranker {method!r}: choose from {', '.join(choices)}")
        return method


@dataclass(frozen=True)
class FittedPreranking:
    """A pre-ranking stage, and its scores of the pool that it was fitted on."""

    ranking: Ranking
    """The pre-rankers; a pool is scored by ``ranking.scores``."""
    scores: Floats
    """(B, n) scores of the pool, each query's by the pre-ranker that has not learned from its user: a ranker
    that is trained on what they leave meets the same mistakes as later."""


def fit_preranking(
    pool: Pool,
    targets: Targets,
    answers: Dataset,
    declared: Sequence[Declaration],
    config: PrerankConfig,
    seed: int,
    past: PastIndex | None = None,
    least: int = 1,
) -> FittedPreranking | None:
    """Learn which candidates of held-back queries to keep; None if recall found too few targets.

    None as well if the merged list shall choose. ``answers`` is a log with the ratings of the targets;
    ``past`` is of the log of the queries, and made of it if it is not given. Histories of fewer events than
    ``least`` keep the merged order.

    Raises:
        FloatingPointError: the training of a pre-ranker diverged.
    """
    if config.method == MERGED:
        return None
    pre_ranker = build_pre_ranker(config.method, config.settings)
    features = cheap(declared)
    trained = cross_fit(
        pool, targets, answers, features, config.sampling, config.folds, pre_ranker, seed, past
    )
    if trained is None:
        return None
    logits = trained.ranking.fused(trained.task_logits(pool, np.arange(len(pool.queries))), pool)
    return FittedPreranking(trained.ranking, blended(pool, logits, trained.ranking.blend_weight, least))


def restore_preranking(
    state: State,
    declared: Sequence[Declaration],
    config: PrerankConfig,
    codes: Mapping[str, Ints] = MappingProxyType({}),
) -> Ranking:
    """The stage that had this state; arguments as of :func:`models.rank.stage.restore_ranking`.

    Raises:
        ValueError: it was trained on features of other names, or with another method or other settings.
    """
    pre_ranker = build_pre_ranker(config.method, config.settings)
    return restore_ranking(state, cheap(declared), pre_ranker, codes)


def cheap(declared: Sequence[Declaration]) -> tuple[Declaration, ...]:
    """The features that are cheap for a thousand candidates: all but those of a user and an item together."""
    return tuple(feature for feature in declared if feature.side != "cross")


def best_of(merged: Merged, score: Floats, n: int) -> Merged:
    """The n best of a merged list by another score (B, N), in the order of the list."""
    width = merged.candidates.n
    rank0, _ = best_of_rows(score, n)
    position = np.sort(np.where(rank0 < 0, width, rank0), axis=1)  # padding last
    found = position < width
    item, scores, channels = (
        np.where(found, np.take_along_axis(values, np.minimum(position, width - 1), axis=1), nothing)
        for values, nothing in (
            (merged.candidates.item, -1),
            (merged.candidates.score, -np.inf),
            (merged.channels, 0),
        )
    )
    return Merged(Candidates(item.astype(np.int32), scores.astype(np.float32)), channels)
