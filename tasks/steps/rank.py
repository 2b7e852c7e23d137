"""The ranking stage: rankers learn from what recall brought for the held-back part, and order each list.

The merged list is what ranking starts from, and what stands where ranking does not help.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from models.candidates import Candidates
from models.dataset import Dataset, Floats, Queries
from models.merge import Merged
from models.rank.candidates import Pool
from models.rank.fit import Fitted, RankingConfig, fit_ranking
from models.rank.stage import Ranking, order, restore_ranking
from tasks import data
from tasks.metrics import Figure, metric_rows
from tasks.step import step
from tasks.steps.features import READ
from tasks.steps.merge import personal_lists, read_weights, write_lists
from tasks.steps.recall import read_state, write_state
from warehouse.errors import MatineeError
from warehouse.runs import snapshot
from warehouse.runs.run import Run

log = logging.getLogger("matinee")

DEFAULT_RANKER = RankingConfig.ranker
"""The ranker of the published list."""

DEFAULT_FORMULA = RankingConfig.formula
"""How the tasks of a multi-task ranker become one score: a name of ``models.rank.fusion.FORMULAS``."""

POOL = 300
"""Films a user that are ranked: the best of the merged list."""

NAME = "ranking"
MODEL = f"models/{NAME}"
"""Where the fitted stage is; absent if the log was too small to hold anything back."""


@step(
    "fit rank", reads=["validation", "merge_weights"], writes=[MODEL, "metrics/ranking", "feature_coverage"]
)
def fit_rank(
    run: Run, channels: Sequence[str], objective: str, ranker: str, formula: str, seed: int
) -> dict[str, int]:
    """Train a ranker on the held-back part of the log, and choose how far it is heeded."""
    dataset, vocabulary = data.load(run)
    held_back = data.validation(run, objective)
    if held_back is None:
        return _not_ranked()
    queries = held_back.queries
    brought = {name: data.read_validation(run, name, len(queries), vocabulary) for name in channels}
    pool, _ = pool_of(brought, read_weights(run), queries, held_back.train)
    config = RankingConfig(ranker=ranker, formula=formula, seed=seed)
    fitted = fit_ranking(pool, held_back.targets, dataset, READ, config)
    if fitted is None:
        return _not_ranked()
    write_state(run, NAME, fitted.ranking.state, vocabulary)
    coverage = pl.DataFrame(list(fitted.coverage.items()), schema=["feature", "coverage"], orient="row")
    snapshot.write_table(run, "feature_coverage", coverage)
    n_users = len(np.unique(queries.user_idx))
    figures = metric_rows(run, "rank", ranker, objective, _figures(fitted, config), n_users)
    return {"metrics": snapshot.write_table(run, "metrics/ranking", figures)}


@step("rank", reads=["candidates", "merge_weights", MODEL], writes=["recommended"])
def rank(run: Run, channels: Sequence[str], top_n: int) -> dict[str, int]:
    """Order each user's candidates, and write the best with their reasons."""
    dataset, vocabulary = data.load(run)
    brought = {name: data.read_candidates(run, name, vocabulary) for name in channels}
    pool, merged = pool_of(brought, read_weights(run), data.queries(run), dataset, max(POOL, top_n))
    ranked = ranked_lists(pool, merged, _ranking(run), min(top_n, dataset.n_items))
    return {"recommended": write_lists(run, ranked, channels)}


def pool_of(
    brought: Mapping[str, Candidates], weights: Floats, queries: Queries, log: Dataset, n: int = POOL
) -> tuple[Pool, Merged]:
    """The candidates that ranking chooses from: the n best of the merged list."""
    merged = personal_lists(brought, weights, queries, log, n)
    return Pool(queries, merged.candidates, brought), merged


def ranked_lists(pool: Pool, merged: Merged, ranking: Ranking | None, top_n: int) -> Merged:
    """The list that is published for each query."""
    scores = pool.merged.score if ranking is None else ranking.scores(pool)
    return order(merged, scores, top_n)


def _not_ranked() -> dict[str, int]:
    log.info("too few ratings are held back to train a ranker: the merged list is published")
    return {"metrics": 0}


def _ranking(run: Run) -> Ranking | None:
    if not snapshot.has_arrays(run, MODEL):
        return None
    state, then = read_state(run, NAME)
    _, now = data.load(run)
    try:
        return restore_ranking(state, READ, now.item_positions(then))
    except (KeyError, ValueError) as error:
        made = f"the ranker of release {run.parent_id} was made by another version"
        raise MatineeError(f"{made} ({error}): run `matinee nightly` first") from None


def _figures(fitted: Fitted, config: RankingConfig) -> list[Figure]:
    """What each share of the ranker reaches and which was chosen; reliability curves and their errors."""
    at = config.judged_at
    figures: list[Figure] = [(f"share={share}", "ndcg", at, value) for share, value in fitted.ndcg.items()]
    figures.append(("all", "share", None, fitted.ranking.share))
    figures += [(f"task={task}", "weight", None, w) for task, w in fitted.ranking.task_weights.items()]
    for name, curve in fitted.reliability.items():
        figures.append((name, "calibration_error", None, curve.error))
        for number, (predicted, observed) in enumerate(zip(curve.predicted, curve.observed, strict=True)):
            figures.append((f"{name}, bin={number:02d}", "predicted", None, float(predicted)))
            figures.append((f"{name}, bin={number:02d}", "observed", None, float(observed)))
    return figures
