"""Fitting the ranking stage: on what recall found for held-back queries, judged by users left out.

Rankers are cross-fitted; the users that each was trained without choose the weights of the tasks, and the
weight of the rankers in the blend. The reliability of the rankers' probabilities is measured on them too.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt

from models.behaviour import Behaviour
from models.bounds import BelowOne, Fraction, NonNegative
from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Doubles, Floats, Ints
from models.evaluation import metrics
from models.features.compute import PastIndex
from models.features.declare import Declaration
from models.rank.behaviour import BY_LENGTH, fit_length_curve
from models.rank.calibration import Reliability, fit_isotonic, reliability, undo_sampling
from models.rank.candidates import Emphasis, Pool, Sampling, is_target, lengths
from models.rank.constraints import Folds
from models.rank.cross_fit import CrossFitted, cross_fit
from models.rank.fusion import fit_fusion, main_task
from models.rank.registry import BuiltRanker
from models.rank.stage import Ranking, blended
from models.rank.validation import probability
from models.sampling import spread
from models.targets import Targets
from models.top_n import best_of_rows

logger = logging.getLogger("matinee")

Z = 1.96
"""Standard errors on either side in a 95 % interval."""

Formula = Literal["weighted_sum", "boosted", "product", "reciprocal_rank"]
"""The names of ``models.rank.fusion.FORMULAS``."""


class RankConfig(Config):
    """Ranking: the order of the candidates that recall found."""

    ranker: str = "gbdt"
    """Ranker that orders the candidates: a name of the registry of rankers."""
    formula: Formula = "boosted"
    """Formula that fuses the tasks of a ranker of several tasks."""
    weights: Mapping[str, NonNegative] = {}
    """Weights of tasks in the formula by their names; those of others are fitted, the main task's is 1."""
    pool: PositiveInt = 300
    """Candidates of a user that are ranked."""
    blend_weights: Annotated[tuple[Fraction, ...], Field(min_length=1)] = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
    """Weights of the ranker in the blend with the merged list: the largest as good as the best is taken."""
    ema_decay: BelowOne = 0.85
    """Weight of the release before in the blend weight and the scores of a warm run: 0 forgets it."""
    folds: Folds = 3
    """Rankers trained, each without the users of one fold; their mean ranks."""
    max_queries: PositiveInt = 6_000
    """Queries at most that the blend weight is chosen on."""
    ndcg_at: PositiveInt = 10
    """Length of the lists whose NDCG chooses the blend weight."""
    sampling: Sampling = Sampling()
    """Candidates that rankers learn from."""


@dataclass(frozen=True)
class Fitted:
    """A ranking stage, and how good it is for users that its rankers have not learned from."""

    ranking: Ranking
    ndcg: Mapping[float, float]
    """NDCG of the blend by blend weight."""
    ndcg_error: Mapping[float, float]
    """Its standard error, queries of a user hanging together."""
    reliability: Mapping[str, Reliability]
    """Reliability of the probability to be watched: as trained, and calibrated in two ways."""
    coverage: Mapping[str, float]
    """Fraction of the training rows, or of their queries or items, that have each feature."""


def fit_ranking(
    pool: Pool,
    targets: Targets,
    answers: Dataset,
    declared: Sequence[Declaration],
    config: RankConfig,
    ranker: BuiltRanker,
    seed: int,
    past: PastIndex | None = None,
    emphasis: Emphasis | None = None,
    behaviour: Behaviour | None = None,
) -> Fitted | None:
    """Learn to order what recall found for held-back queries; None if it found too few targets.

    ``answers`` is a log with the ratings of the targets. Nothing of it is read but these. ``past`` is of the
    log of the queries, and made of it if it is not given. By ``emphasis`` some candidates count more in the
    training of the rankers, and none in the choice of their weight; ``behaviour`` is what users did beside
    rating.

    Raises:
        FloatingPointError: the training of a ranker diverged.
        ValueError: a weight is given to a task that the log has no labels of.
    """
    of_sampling = config.sampling, config.folds, ranker, seed
    trained = cross_fit(pool, targets, answers, declared, *of_sampling, past, emphasis, behaviour)
    if trained is None:
        return None
    ranking = _with_fusion(trained, config)
    chosen = spread(len(pool.queries), config.max_queries)
    part, logits = pool.where(chosen), trained.task_logits(pool, chosen)
    answered, _ = targets.where(np.isin(targets.query, chosen))
    by_query = _ndcg_by_weight(part, ranking.fused(logits, part), answered, config)
    ndcg = {weight: float(values.mean()) for weight, values in by_query.items()}
    user_idx = part.queries.user_idx
    error = {weight: metrics.clustered_error(values, user_idx) for weight, values in by_query.items()}
    formatted = ", ".join(f"{weight:.2f}: {value:.4f}" for weight, value in ndcg.items())
    logger.info("%s: NDCG@%d by its weight in the blend %s", ranker.kind, config.ndcg_at, formatted)
    ranking = replace(ranking, blend_weight=_largest_as_good(by_query, user_idx))
    curves = _reliability(part, logits, answered, ranking.negative_rate)
    return Fitted(ranking, ndcg, error, curves, trained.coverage)


def _with_fusion(trained: CrossFitted, config: RankConfig) -> Ranking:
    """The rankers with the parameters of the formula, chosen on the training rows out of fold."""
    ranking, rows = trained.ranking, trained.rows
    if len(ranking.tasks) == 1:
        return replace(ranking, fusion=main_task(1, config.formula))
    if missing := [task for task in config.weights if task not in ranking.tasks]:
        raise ValueError(
            f"rank.weights: no label of {missing[0]} in what ranking learns from, which has "
            f"{', '.join(ranking.tasks)}: take the weight out, or ingest a log of behaviour"
        )
    logits, length = trained.row_logits(), lengths(trained.past.log, rows.item)
    predicted = dict(zip(ranking.tasks, probability(logits).T, strict=True))
    curves = {task: fit_length_curve(length, predicted[task]) for task in BY_LENGTH if task in predicted}
    ranking = replace(ranking, usual={task: curve for task, curve in curves.items() if curve is not None})
    values = ranking.task_values(logits, length)
    given = {ranking.tasks.index(task): weight for task, weight in config.weights.items()}
    fusion = fit_fusion(values, rows.label[:, 0], rows.query, config.formula, given)
    return replace(ranking, fusion=fusion)


def _largest_as_good(ndcg: Mapping[float, Doubles], user_idx: Ints) -> float:
    """The largest weight whose NDCG is not below the best beyond the 95 % interval of their difference.

    Near its top the curve is flat, and which weight is the best is chance. The mean of the folds' rankers,
    which publishes, is better than the ranker of one fold, which is judged here, and the more so the larger
    its weight: of weights that cannot be told apart, the one that trusts it most. Differences are paired,
    those of a user hang together. In the manner of the one-standard-error rule of Breiman et al.,
    Classification and Regression Trees (1984), 3.4.3.
    """
    best = max(ndcg.values(), key=lambda values: float(values.mean()))
    lost = {weight: best - values for weight, values in ndcg.items()}
    return max(
        weight for weight, loss in lost.items() if loss.mean() <= Z * metrics.clustered_error(loss, user_idx)
    )


def _ndcg_by_weight(pool: Pool, logits: Floats, targets: Targets, config: RankConfig) -> dict[float, Doubles]:
    """NDCG of each query by the blend with each weight of the rankers, (B,) each."""
    ndcg = {}
    for weight in config.blend_weights:
        rank0, score = best_of_rows(blended(pool, logits, weight), config.ndcg_at)
        listed = np.take_along_axis(pool.merged.item, np.maximum(rank0, 0), axis=1)
        blend = Candidates(np.where(rank0 >= 0, listed, -1), score)
        ndcg[weight] = metrics.ndcg(metrics.target_rank0(blend, targets), targets, config.ndcg_at)
    return ndcg


def _reliability(
    pool: Pool, logits: Floats, targets: Targets, negative_rate: float
) -> dict[str, Reliability]:
    """Reliability of the main task on every second query; isotonic regression learns from the others."""
    mask = pool.merged.item >= 0
    watched = is_target(pool.merged.item, targets)[mask].astype(np.float32)
    as_trained = probability(logits[mask][:, 0])
    corrected = undo_sampling(as_trained, negative_rate)
    shown = np.nonzero(mask)[0] % 2 == 1
    isotonic = fit_isotonic(watched[~shown], corrected[~shown])
    calibrated = {"as trained": as_trained, "sampling undone": corrected, "isotonic": isotonic(corrected)}
    return {name: reliability(watched[shown], values[shown]) for name, values in calibrated.items()}
