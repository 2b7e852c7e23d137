"""One channel: fitted on the log and, for the stages that learn from it, on all but the holdout."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from models.pipeline.channels import (
    fit_channel,
    fits_at_once,
    fitted_alike,
    remembers,
    rows_of_state,
    with_state,
)
from models.recall.contract import Incremental, Recaller
from models.state import State
from tasks import data as run_data
from tasks import training
from tasks.cached import cached, cached_before_holdout
from tasks.cost import RowCounts
from tasks.data import RunData
from tasks.metrics import curve_rows
from tasks.states import HOLDOUT, has_state, read_state, read_state_before, write_state, write_tables
from tasks.step import step
from warehouse.runs import files
from warehouse.runs.run import Run


@step(
    "recall {channel}",
    reads=["events", "users", "items"],
    writes=["holdout/{channel}", "models/{channel}"],
)
def recall(run: Run, channel: str) -> RowCounts:
    """Fit a channel, without and with the holdout; write its state, its tables, its lists for the holdout.

    The channel that learns on goes on from the run's parent, if there is one. One that learns the same as an
    earlier one takes over what that one learned.
    """
    data = run_data.load(run)
    if channel == data.config.incremental.channel:
        return _fit_incremental(data, channel)
    if remembers(data.config, channel):
        return _fill(data, channel)
    rows: RowCounts = {}
    logs = [False] if data.holdout is None else [True, False]
    at_once = fits_at_once(data.config, channel)
    with ThreadPoolExecutor(at_once) as threads:
        fit_each = threads.map if at_once > 1 else map
        for before_holdout, model in zip(logs, fit_each(partial(_fitted, data, channel), logs), strict=True):
            answer = _answer_holdout if before_holdout else write_tables
            rows |= answer(data, channel, model)
    return rows


def _fitted(data: RunData, channel: str, before_holdout: bool) -> Recaller:
    """The channel, having learned the log or all but the holdout; its state is written."""
    first = fitted_alike(data.config, channel)
    folder = f"{HOLDOUT}/" if before_holdout else ""
    if first != channel and has_state(data.run, folder + first):
        model = with_state(data.config, channel, read_state(data.run, folder + first)[0])
    else:
        log = data.holdout_training_log if before_holdout else data.training_log
        model = fit_channel(data.config, channel, log, _state_before(data, channel, before_holdout))
    shared = any(
        fitted_alike(data.config, other) == channel
        for other in data.config.recall.channels
        if other != channel
    )
    if not before_holdout or shared or rows_of_state(data.config, channel):
        write_state(data, folder + channel, model.state)
    return model


def _state_before(data: RunData, channel: str, before_holdout: bool) -> State | None:
    """The state of the parent's channel, if a training from it has not seen the holdout."""
    before = read_state_before(data, f"{HOLDOUT}/{channel}" if before_holdout else channel, channel)
    if before is None or not before_holdout:
        return before
    moved_back = training.holdout_moved_back(data, training.seen_before_holdout(data))
    return None if moved_back else before


def _fit_incremental(data: RunData, channel: str) -> RowCounts:
    models = training.from_scratch if data.run.parent_id is None else training.from_parent
    holdout_model, model = models(data, channel)
    rows: RowCounts = {}
    if data.holdout is not None:
        rows |= _answer_holdout(data, channel, holdout_model)
    write_state(data, f"{HOLDOUT}/{channel}", holdout_model.state)
    write_state(data, channel, model.state)
    _write_curves(data, channel, holdout_model)
    return rows | write_tables(data, channel, model)


def _fill(data: RunData, channel: str) -> RowCounts:
    """Queues of what earlier runs ranked; no log says that."""
    rows: RowCounts = {}
    if data.holdout is not None:
        rows |= _answer_holdout(data, channel, cached_before_holdout(data, channel))
    model = cached(data, channel)
    write_state(data, channel, model.state)
    return rows | {"cached": int((model.state["item"] >= 0).sum())}


def _answer_holdout(data: RunData, channel: str, model: Recaller) -> RowCounts:
    """Write what a channel that knows nothing of the holdout recalls for its queries."""
    assert data.holdout is not None
    found = model.recommend(data.holdout.queries, data.config.recall.candidates)
    return {"holdout": run_data.write_holdout_candidates(data, channel, found)}


def _write_curves(data: RunData, channel: str, model: Incremental) -> None:
    """Write training loss and validation metric of every epoch."""
    curve = model.state["curve"]
    epochs = np.arange(1, len(curve) + 1)
    points = {"loss": (epochs, curve[:, 0]), "ndcg@10": (epochs, curve[:, 1])}
    files.write_table(data.run, f"curves/{channel}", curve_rows(data.run, "train", channel, points))
