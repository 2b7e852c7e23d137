"""The hourly update of the channel that learns on."""

import logging

import numpy as np

from tasks import data as run_data
from tasks.cost import RowCounts
from tasks.metrics import metric_rows
from tasks.states import load_grown, write_state, write_tables
from tasks.step import step
from warehouse.runs import files
from warehouse.runs.run import Run

logger = logging.getLogger("matinee")


@step(
    "update {channel}",
    reads=["events", "models/{channel}"],
    writes=["models/{channel}", "metrics/{channel}"],
)
def update(run: Run, channel: str) -> RowCounts:
    """Let the channel's ID embeddings learn what is new since the run's parent, unless they drift."""
    data = run_data.load(run)
    before = load_grown(data, channel, channel)
    model = before.copy()
    report = model.update(data.dataset, data.new_events)
    if report.drift is not None:
        logger.warning("%s: what it learned is left out until the next nightly: %s", channel, report.drift)
        model = before
    write_state(data, channel, model.state)
    metrics = report.metrics() | {"skipped": float(report.drift is not None)}
    rows = [("all", name, None, value) for name, value in metrics.items()]
    n_users = len(np.unique(data.dataset.user_idx[data.new_events]))
    frame = metric_rows(run, "update", channel, "training", rows, n_users)
    files.write_table(run, f"metrics/{channel}", frame)
    return {"new_events": len(data.new_events)} | write_tables(data, channel, model)
