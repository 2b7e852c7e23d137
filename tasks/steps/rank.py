"""The ranking stages: learned from what recall brings up for the holdout, then applied to every list."""

import logging

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models import merge
from models.candidates import Candidates
from models.merge import Merged
from models.pipeline import explain, stages
from models.pipeline.config import ranker_of
from models.pipeline.stages import Stages
from models.prerank.stage import restore_preranking
from models.rank.fit import Fitted, RankConfig
from models.rank.stage import Ranking, restore_ranking
from tasks import data as run_data
from tasks import declarations
from tasks.data import RunData
from tasks.metrics import Curve, MetricValue, curve_rows, metric_rows
from tasks.states import has_state, read_state, write_state
from tasks.step import RowCounts, step
from tasks.steps.merge import read_weights
from warehouse.errors import MatineeError
from warehouse.runs import files
from warehouse.runs.run import Run

logger = logging.getLogger("matinee")

RANKING, PRERANKING = "ranking", "preranking"
"""Names of the fitted stages; absent if the log was too small to hold anything back."""

PREFERRED = "item_cf"
"""The channel whose similarities explain a recommendation, where it recalls and no other one is named."""


@step(
    "fit rank",
    reads=["holdout", "merge_weights"],
    writes=["models/ranking", "metrics/ranking", "curves/ranking", "feature_coverage"],
)
def fit_rank(run: Run) -> RowCounts:
    """Train pre-ranker and ranker on the holdout, and choose the ranker's weight beside the merged list."""
    data = run_data.load(run)
    if data.holdout is None:
        return _not_ranked()
    recalled = run_data.read_holdout_candidates(data, data.holdout)
    declared = declarations.read(run)
    preranking, pool = stages.fit_prerank(
        data.config, recalled, read_weights(run), data.holdout, data.dataset, declared
    )
    if preranking is not None:
        write_state(data, PRERANKING, preranking.ranking.state)
    fitted = stages.fit_rank(data.config, pool, data.holdout, data.dataset, declared)
    if fitted is None:
        return _not_ranked()
    write_state(data, RANKING, fitted.ranking.state)
    coverage = pl.DataFrame(list(fitted.coverage.items()), schema=["feature", "coverage"], orient="row")
    files.write_table(run, "feature_coverage", coverage)
    ranker, n_users = data.config.rank.ranker, len(np.unique(data.holdout.queries.user_idx))
    frame = pl.concat(
        metric_rows(run, "rank", model, data.config.objective, metrics, n_users)
        for model, metrics in _metrics(fitted, data.config.rank).items()
    )
    curves = curve_rows(run, "rank", ranker, _curves(fitted, data.config.rank))
    return {
        "metrics": files.write_table(run, "metrics/ranking", frame),
        "curves": files.write_table(run, "curves/ranking", curves),
    }


@step("rank", reads=["candidates", "merge_weights", "models/ranking"], writes=["recommended", "rejected"])
def rank(run: Run) -> RowCounts:
    """Merge and order each user's candidates; write the best with their reasons, and what was left."""
    data = run_data.load(run)
    fitted = Stages(read_weights(run), *(_restored(data, name) for name in (PRERANKING, RANKING)))
    recalled = run_data.read_candidates(data)
    short = stages.shortlist(data.config, recalled, fitted, data.queries, data.dataset)
    # A ranker without weight need not be asked.
    ranking = fitted.ranking if fitted.ranking is not None and fitted.ranking.blend_weight else None
    lists = stages.ranked(data.config, short, ranking, data.dataset)
    written = {"recommended": files.write_table(run, "recommended", _published_rows(data, lists.published))}
    if run.kind == "full":
        rest = stages.rejected(short.chosen.candidates, lists.published.candidates)
        frame = run_data.candidate_rows(rest, data.target_ids, data.vocabulary, "user_id")
        files.write_table(run, "rejected", frame.drop("score"))
    return written


def _not_ranked() -> RowCounts:
    logger.info("too few ratings are held back to train a ranker: the merged list is published")
    return {"metrics": 0}


def _restored(data: RunData, name: str) -> Ranking | None:
    if not has_state(data.run, name):
        return None
    state, then = read_state(data.run, name)
    declared, codes = declarations.read(data.run), data.vocabulary.item_positions(then)
    try:
        if name == PRERANKING:
            return restore_preranking(state, declared, data.config.prerank, codes)
        return restore_ranking(state, declared, ranker_of(data.config), codes)
    except (KeyError, ValueError) as error:
        made = f"the {name} of release {data.run.parent_id} was made by another version"
        raise MatineeError(f"{made} ({error}): run `matinee nightly` first") from None


def _published_rows(data: RunData, published: Merged) -> pl.DataFrame:
    """user_id, rank, item_id, score, channels, because_item_id, release_id."""
    frame = run_data.candidate_rows(published.candidates, data.target_ids, data.vocabulary, "user_id")
    columns = _provenance(data, published)
    return frame.with_columns(columns, release_id=pl.lit(data.run.id))


def _provenance(data: RunData, published: Merged) -> list[pl.Series]:
    found = published.candidates.item >= 0
    who = merge.names(list(data.config.recall.channels), published.channels[found])
    return [
        pl.Series("channels", who.tolist(), dtype=pl.List(pl.String)),
        _because(data, published.candidates, found),
    ]


def _because(data: RunData, candidates: Candidates, found: NDArray[np.bool_]) -> pl.Series:
    """The watched film that explains each recommended one; null where none does."""
    channel = _explaining_channel(data)
    if channel is None:
        return pl.Series("because_item_id", [None] * int(found.sum()), dtype=pl.Int64)
    near = run_data.read_neighbours(data, channel)
    cause = explain.because(candidates.item, data.queries, near, data.config.explain.decay)[found]
    return pl.Series("because_item_id", data.vocabulary.item_ids[cause]).set(pl.Series(cause < 0), None)


def _explaining_channel(data: RunData) -> str | None:
    """The configured channel; else the preferred one, or the first that published similarities."""
    if data.config.explain.channel is not None:
        return data.config.explain.channel
    names = [n for n in data.config.recall.channels if files.has_table(data.run, f"item_similarity/{n}")]
    return PREFERRED if PREFERRED in names else next(iter(names), None)


def _metrics(fitted: Fitted, config: RankConfig) -> dict[str, list[MetricValue]]:
    """By model: the chosen blend weight, what the list reaches with it and without, calibration errors."""
    chosen = fitted.ranking.blend_weight
    of_ranker: list[MetricValue] = [
        ("all", "blend_weight", None, chosen),
        ("all", "ndcg", config.ndcg_at, fitted.ndcg[chosen]),
    ]
    of_ranker += [(f"task={task}", "weight", None, w) for task, w in fitted.ranking.task_weights.items()]
    of_ranker += [(name, "calibration_error", None, of.error) for name, of in fitted.reliability.items()]
    of_merged: list[MetricValue] = [
        ("all", "ndcg", config.ndcg_at, value) for weight, value in fitted.ndcg.items() if weight == 0
    ]
    return {config.ranker: of_ranker, "merged": of_merged}


def _curves(fitted: Fitted, config: RankConfig) -> dict[str, Curve]:
    """The metric by blend weight; the fraction watched by predicted probability."""
    curves: dict[str, Curve] = {
        f"ndcg@{config.ndcg_at} by blend weight": (list(fitted.ndcg), list(fitted.ndcg.values()))
    }
    for name, curve in fitted.reliability.items():
        points = np.isfinite(curve.predicted)
        curves[f"reliability {name}"] = (curve.predicted[points], curve.observed[points])
    return curves
