"""The ranking stages, learned from what recall brings up for the holdout."""

import logging
from dataclasses import replace

import numpy as np
import polars as pl

from models.exposures import ExposureLog
from models.pipeline import arms, stages
from models.rank.fit import Fitted, RankConfig
from models.rank.stage import Ranking, kind_of
from tasks import config as configuration
from tasks import data as run_data
from tasks import declarations
from tasks.cost import RowCounts
from tasks.data import RunData
from tasks.metrics import NDCG_ERROR, Curve, MetricValue, curve_rows, metric_rows
from tasks.shards.recommend import PRERANKING, RANKING, fits
from tasks.states import has_state, read_merge, read_state, write_state
from tasks.step import step
from warehouse.errors import MatineeError
from warehouse.events.exposures import PUBLISHED
from warehouse.runs import files, shown
from warehouse.runs.run import Run

logger = logging.getLogger("matinee")

SCALE = ("objective", "recall.channels", "merge.method", "rank", "rankers", "features", "optional_features")
"""Settings and sections that scores follow: those before and after a change are not averaged."""

FREE = ("rank.ema_decay", "rank.pool")
"""Those that they do not follow all the same."""


@step(
    "fit rank",
    reads=["holdout", "merge_weights", "newcomers", "behaviour"],
    writes=["models/ranking", "metrics/ranking", "curves/ranking"],
)
def fit_rank(run: Run) -> RowCounts:
    """Train pre-ranker and ranker on the holdout, and choose the ranker's weight beside the merged list.

    So for each treatment arm that ranks otherwise; metrics and curves are of the ranker of all others.
    """
    data = run_data.load(run)
    if data.holdout is None:
        return _not_ranked()
    recalled = run_data.read_holdout_candidates(data)
    declared = declarations.read(run)
    preranking, pool = stages.fit_prerank(
        data.config, recalled, read_merge(run), data.holdout, data.dataset, declared, data.holdout_past
    )
    if preranking is not None:
        write_state(data, PRERANKING, preranking.ranking.state)
    configs, beside = arms.variants(data.config), (_exposures(data), run_data.read_behaviour(data))
    try:
        made = {
            name: stages.fit_rank(
                configs[label], pool, data.holdout, data.dataset, declared, data.holdout_past, *beside
            )
            for name, label in fits(data.config, RANKING)
        }
    except ValueError as error:
        raise MatineeError(str(error)) from error
    rankings = {
        name: _remembering(data, name, configs[label].rank.ema_decay, found.ranking)
        for name, label in fits(data.config, RANKING)
        if (found := made[name]) is not None
    }
    for name, ranking in rankings.items():
        write_state(data, name, ranking.state)
    fitted = made[RANKING]
    if fitted is None:
        return _not_ranked()
    ranker, n_users = data.config.rank.ranker, len(np.unique(data.holdout.queries.user_idx))
    metrics = _metrics(fitted, data.config.rank, rankings[RANKING].blend_weight)
    frame = pl.concat(
        metric_rows(run, "rank", model, data.config.objective, values, n_users)
        for model, values in metrics.items()
    )
    curves = curve_rows(run, "rank", ranker, _curves(fitted, data.config.rank))
    return {
        "metrics": files.write_table(run, "metrics/ranking", frame),
        "curves": files.write_table(run, "curves/ranking", curves),
    }


def _exposures(data: RunData) -> ExposureLog | None:
    """The exposures since the beginning of the holdout; None where nothing counts as shown."""
    config = data.config.exposure
    if config.source == "none" or data.holdout is None:
        return None
    ranks = config.published_ranks if config.source == PUBLISHED else None
    columns = shown.since(data.run, data.holdout.train.as_of, ranks)
    return ExposureLog(**columns)


def _not_ranked() -> RowCounts:
    logger.info("too few ratings are held back to train a ranker: the merged list is published")
    return {"metrics": 0}


def _remembering(data: RunData, name: str, decay: float, ranking: Ranking) -> Ranking:
    """The ranking with a memory of the run's parent, if both rank alike: blend weight and scores."""
    if not decay or data.run.parent_id is None or not has_state(data.run.parent(), name):
        return ranking
    changed = configuration.differing(configuration.of(data.run.parent()), data.config)
    if any(configuration.within(key, *SCALE) and not configuration.within(key, *FREE) for key in changed):
        return ranking
    before = read_state(data.run.parent(), name)[0]
    if kind_of(before) != ranking.ranker:
        return ranking
    average = (1 - decay) * ranking.blend_weight + decay * float(before["blend_weight"])
    return replace(ranking, blend_weight=average, memory=decay)


def _metrics(fitted: Fitted, config: RankConfig, blend_weight: float) -> dict[str, list[MetricValue]]:
    """By model: the blend weight, what lists reach with the chosen one and without, calibration errors,
    and the fraction of rows, queries or items that have each feature.
    """
    chosen = fitted.ranking.blend_weight
    of_ranker: list[MetricValue] = [
        ("all", "blend_weight", None, blend_weight),
        ("all", "ndcg", config.ndcg_at, fitted.ndcg[chosen]),
        ("all", NDCG_ERROR, config.ndcg_at, fitted.ndcg_error[chosen]),
    ]
    of_ranker += [(f"task={task}", "weight", None, w) for task, w in fitted.ranking.task_weights.items()]
    of_ranker += [(f"feature={name}", "coverage", None, value) for name, value in fitted.coverage.items()]
    of_ranker += [(name, "calibration_error", None, of.error) for name, of in fitted.reliability.items()]
    of_merged: list[MetricValue] = [
        ("all", name, config.ndcg_at, values[0])
        for name, values in (("ndcg", fitted.ndcg), (NDCG_ERROR, fitted.ndcg_error))
        if 0 in values
    ]
    return {config.ranker: of_ranker, "merged": of_merged}


def _curves(fitted: Fitted, config: RankConfig) -> dict[str, Curve]:
    """The metric by blend weight, and its standard error; the fraction watched by predicted probability."""
    curves: dict[str, Curve] = {
        name: (list(values), list(values.values()))
        for name, values in (
            (f"ndcg@{config.ndcg_at} by blend weight", fitted.ndcg),
            (f"{NDCG_ERROR}@{config.ndcg_at}", fitted.ndcg_error),
        )
    }
    for name, curve in fitted.reliability.items():
        points = np.isfinite(curve.predicted)
        curves[f"reliability {name}"] = (curve.predicted[points], curve.observed[points])
    return curves
