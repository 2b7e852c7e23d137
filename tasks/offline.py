"""What every channel, the merge and the published list answer to the questions of one split."""

import logging
import time
from dataclasses import dataclass

import numpy as np

from models.dataset import Dataset, Floats, queries_at
from models.evaluation import objectives
from models.evaluation.sampling import small_part, some_queries
from models.evaluation.split import Split
from models.recall import merge as fusion
from models.recall.contract import Candidates
from models.recall.registry import build
from tasks.merge import personal_lists
from tasks.recall import MAX_USER_EVENTS, fitted

log = logging.getLogger("matinee")

CANDIDATES = 300
"""Distinct candidates in the union, and recalled a query and channel at least."""

TOP_N = 50
"""Films of a published list."""

MERGED, UNION, PUBLISHED = "merged", "union", "published"
"""The models that are made of all channels."""


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
    """Names of the registry of rankers: each ranks the candidates of the union."""


@dataclass(frozen=True)
class Answers:
    """Lists for the queries of one split by model, and the seconds that fitting the model took."""

    lists: dict[str, Candidates]
    seconds: dict[str, float]


def answers(split: Split, validation: Split, plan: Plan) -> Answers:
    """Of every channel, MERGED, UNION and PUBLISHED, fitted on the training part of the split.

    The weights of the merge are fitted on ``validation``, those of the published list on the newest part of
    the training part, as the nightly flow does. Seconds of a merged list are those of all that it needs.
    """
    weights, weighing = fit_weights(validation, plan)
    newest = objectives.validation(split.train, plan.objective)
    same = newest is not None and newest.digest() == validation.digest()
    publishing, preparing = (weights, weighing) if same else fit_weights(newest, plan)
    recalled = recall(split, plan, "test")
    channels, fitting = recalled.lists, sum(recalled.seconds.values())
    order = fusion.fallback_order(split.train)
    merged = fusion.merge(channels, weights, split.queries, order, plan.width)
    published = personal_lists(channels, publishing, split.queries, split.train, TOP_N)
    return Answers(
        channels | {MERGED: merged.candidates, UNION: merged.candidates, PUBLISHED: published.candidates},
        recalled.seconds
        | {MERGED: fitting + weighing, UNION: fitting + weighing, PUBLISHED: fitting + preparing},
    )


def fit_weights(validation: Split | None, plan: Plan) -> tuple[Floats, float]:
    """The weights of the merge, and the seconds of fitting the channels and them; 1 without validation."""
    if validation is None:
        return np.ones((len(plan.channels), len(fusion.FEATURES)), dtype=np.float32), 0.0
    some = some_queries(validation, fusion.MAX_QUERIES)
    recalled = recall(some, plan, "validation")
    started = time.perf_counter()
    weights = fusion.fit_weights(recalled.lists, some.queries, some.targets.indptr, some.targets.item)
    return weights, sum(recalled.seconds.values()) + time.perf_counter() - started


def recall(split: Split, plan: Plan, part: str) -> Answers:
    """Fit every channel on the training part and ask for the candidates of every query."""
    recalled = Answers({}, {})
    for channel in plan.channels:
        started = time.perf_counter()
        model = fitted(channel, split.train, MAX_USER_EVENTS, plan.seed)
        fitting = time.perf_counter() - started
        recalled.lists[channel] = model.recommend(split.queries, plan.width)
        recalled.seconds[channel] = fitting
        asking = time.perf_counter() - started - fitting
        log.info("%-10s  %-18s fit %6.1f s  recall %6.1f s", part, channel, fitting, asking)
    return recalled


def warm_up(dataset: Dataset, plan: Plan) -> None:
    """Have all that is compiled at its first use compiled, so that it does not count as fitting."""
    started = time.perf_counter()
    part = small_part(dataset)
    queries = queries_at(part, users=np.unique(part.user_idx))
    lists = {name: build(name).fit(part).recommend(queries, CANDIDATES) for name in plan.channels}
    indptr = np.arange(len(queries) + 1)
    weights = fusion.fit_weights(lists, queries, indptr, part.item_idx[queries.start])
    personal_lists(lists, weights, queries, part, TOP_N)
    log.info("%-10s  %-18s     %6.1f s", "warm-up", "", time.perf_counter() - started)
