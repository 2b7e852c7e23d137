"""Weights of the channels in the merged list."""

import polars as pl

from models import merge
from models.dataset import Floats
from models.pipeline import stages
from tasks import data as run_data
from tasks.step import Rows, step
from warehouse.runs import files
from warehouse.runs.run import Run


@step("fit merge", reads=["holdout"], writes=["merge_weights"])
def fit_merge(run: Run) -> Rows:
    """Fit the weights of the merge on what the channels recalled for the holdout."""
    data = run_data.load(run)
    names = data.config.recall.channels
    if data.holdout is None:
        weights = merge.equal_weights(len(names))
    else:
        recalled = run_data.read_holdout_candidates(data, data.holdout)
        weights = stages.fit_merge(data.config, recalled, data.holdout)
    frame = pl.DataFrame({"channel": names} | dict(zip(merge.CANDIDATE_FEATURES, weights.T, strict=True)))
    return {"merge_weights": files.write_table(run, "merge_weights", frame)}


def read_weights(run: Run) -> Floats:
    """(C, 3) as ``fit_merge`` wrote them."""
    table = files.read_table(run, "merge_weights")
    weights: Floats = table.select(merge.CANDIDATE_FEATURES).to_numpy().astype("float32")
    return weights
