"""One channel: what it recalls for the holdout, and what it recalls now."""

import numpy as np

from models.candidates import Candidates
from models.encoding import Vocabulary, reindexed
from models.pipeline.channels import fit_channel
from models.pipeline.config import build_channel
from models.recall.contract import Incremental, Recaller
from tasks import data as run_data
from tasks import training
from tasks.data import RunData
from tasks.metrics import curve_rows
from tasks.states import HOLDOUT, read_state, write_state, write_tables, write_user_vectors
from tasks.step import RowCounts, step
from warehouse.runs import files
from warehouse.runs.run import Run


@step(
    "recall {channel}",
    reads=["events", "users", "items"],
    writes=["candidates/{channel}", "holdout/{channel}", "models/{channel}"],
)
def recall(run: Run, channel: str) -> RowCounts:
    """Fit a channel, without and with the holdout; write its candidates and tables.

    The channel that learns on goes on from the run's parent, if there is one.
    """
    data = run_data.load(run)
    if channel == data.config.incremental.channel:
        return _recall_incremental(data, channel)
    rows: RowCounts = {}
    if data.holdout is not None:
        rows |= _write_holdout_candidates(
            data, channel, fit_channel(data.config, channel, data.holdout.train)
        )
    model = fit_channel(data.config, channel, data.dataset)
    write_state(data, channel, model.state)
    return rows | _write_candidates(data, channel, model) | write_tables(data, channel, model)


@step("recall again {channel}", reads=["models/{channel}", "events"], writes=["candidates/{channel}"])
def recall_again(run: Run, channel: str) -> RowCounts:
    """Write candidates of the target users, by the channel as the run has it: nothing is learned."""
    data = run_data.load(run)
    state, then = read_state(run, channel)
    model = build_channel(data.config, channel)
    model.state = state
    return _write_candidates(data, channel, model, then)


def _recall_incremental(data: RunData, channel: str) -> RowCounts:
    models = training.from_scratch if data.run.parent_id is None else training.from_parent
    holdout_model, model = models(data, channel)
    rows: RowCounts = {}
    if data.holdout is not None:
        rows |= _write_holdout_candidates(data, channel, holdout_model)
    write_state(data, f"{HOLDOUT}/{channel}", holdout_model.state)
    write_state(data, channel, model.state)
    _write_curves(data, channel, holdout_model)
    rows |= _write_candidates(data, channel, model) | write_tables(data, channel, model)
    return rows | write_user_vectors(data, channel, model)


def _write_holdout_candidates(data: RunData, channel: str, model: Recaller) -> RowCounts:
    """Write what a channel that knows nothing of the holdout recalls for its queries."""
    assert data.holdout is not None
    queries = data.holdout.queries
    candidates = model.recommend(queries, data.config.recall.candidates)
    frame = run_data.candidate_rows(candidates, np.arange(len(queries)), data.vocabulary, "query")
    return {"holdout": files.write_table(data.run, f"holdout/{channel}", frame)}


def _write_candidates(
    data: RunData, channel: str, model: Recaller, then: Vocabulary | None = None
) -> RowCounts:
    """Write what a channel, which learned the vocabulary ``then``, recalls for the target users."""
    then = then or data.vocabulary
    queries = reindexed(data.queries, data.vocabulary, then)
    candidates: Candidates = model.recommend(queries, data.config.recall.candidates)
    frame = run_data.candidate_rows(candidates, data.target_ids, then, "user_id")
    return {"candidates": files.write_table(data.run, f"candidates/{channel}", frame)}


def _write_curves(data: RunData, channel: str, model: Incremental) -> None:
    """Write training loss and validation metric of every epoch."""
    curve = model.state["curve"]
    epochs = np.arange(1, len(curve) + 1)
    points = {"loss": (epochs, curve[:, 0]), "ndcg@10": (epochs, curve[:, 1])}
    files.write_table(data.run, f"curves/{channel}", curve_rows(data.run, "train", channel, points))
