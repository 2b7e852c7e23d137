"""Weights of the channels in the merged list, and what each of them recalls for the holdout."""

import logging
from dataclasses import replace

import numpy as np
import polars as pl

from models import merge
from models.candidates import Candidates
from models.evaluation import metrics
from models.evaluation.split import Split
from models.merge import FittedMerge
from models.pipeline import stages
from models.state import named
from tasks import data as run_data
from tasks.cost import RowCounts
from tasks.data import RunData
from tasks.metrics import NDCG_ERROR, MetricValue, metric_rows
from tasks.states import read_state, read_weights_before, write_merge
from tasks.step import step
from warehouse.runs import files
from warehouse.runs.run import Run

logger = logging.getLogger("matinee")

COVERED = "covered"
"""Name of that fraction in a state and in ``metrics``."""


@step("fit merge", reads=["holdout"], writes=["merge_weights", "newcomers", "metrics/recall"])
def fit_merge(run: Run) -> RowCounts:
    """Fit the weights of the merge, and who is a newcomer, on what the channels recalled for the holdout."""
    data = run_data.load(run)
    names = data.config.recall.channels
    rows: RowCounts = {}
    if data.holdout is None:
        merging = FittedMerge(merge.equal_weights(len(names)))
    else:
        recalled = run_data.read_holdout_candidates(data)
        fitted = stages.fit_merge(data.config, recalled, data.holdout)
        before, decay = read_weights_before(run, names), data.config.merge.ema_decay
        merging = replace(fitted, weights=merge.remembered(fitted.weights, before, decay))
        _report_newcomers(merging)
        frame = pl.concat(_metrics(data, name, lists, data.holdout) for name, lists in recalled.items())
        rows["metrics"] = files.write_table(run, "metrics/recall", frame)
    return rows | write_merge(run, names, merging)


def _report_newcomers(merging: FittedMerge) -> None:
    if (until := merging.newcomers_until) is not None:
        logger.info(
            "newcomers are users with fewer than %d ratings: from there on all channels do better", until
        )


def _metrics(data: RunData, channel: str, lists: Candidates, holdout: Split) -> pl.DataFrame:
    """Recall of all candidates and NDCG of the first, of a channel that knows nothing of the holdout.

    Of one that learns of the most rated films alone also the fraction of the log that those carry; of one
    with hashed ids the fractions of films, and of users, that share rows.
    """
    config, state = data.config, read_state(data.run, channel)[0]
    n, first = config.recall.candidates, config.rank.ndcg_at
    ndcg = metrics.ndcg(metrics.target_rank0(lists, holdout.targets), holdout.targets, first)
    values: list[MetricValue] = [
        ("all", "recall", n, metrics.mean_recall(lists, holdout.targets, n)),
        ("all", "ndcg", first, float(ndcg.mean())),
        ("all", NDCG_ERROR, first, metrics.clustered_error(ndcg, holdout.queries.user_idx)),
    ]
    if COVERED in state:
        values.append(("all", COVERED, None, float(state[COVERED])))
    for side, rows in named(state, "rows.").items():
        from models.two_tower.ids import collisions  # with torch, for hashed ids alone

        one, every = collisions(rows)
        values += [(side, "shares_a_row", None, one), (side, "shares_all_rows", None, every)]
    n_users = len(np.unique(holdout.queries.user_idx))
    return metric_rows(data.run, "recall", channel, config.objective, values, n_users)
