"""Names of runs, whichever flow runs."""

import re
from typing import Any

from prefect import Flow, State, runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun

HELD = "Held"
"""Name of the state of a run whose release the gate holds."""

RAISED = re.compile(r"^Flow run encountered an exception: (\w+: )?")
"""Prefect's own words before those of an error."""


def run_name() -> str:
    """The flow, when it was due (UTC) and what was set: nightly 2026-11-27 03:00, mode cold."""
    run = runtime.flow_run
    due = f"{run.flow_name} {run.scheduled_start_time:%Y-%m-%d %H:%M}"
    return ", ".join([due, *(_text_of(*given) for given in run.parameters.items() if _is_set(*given))])


def say_why(flow: Flow[..., Any], flow_run: FlowRun, state: State) -> None:
    """Name a failed run for its error, up to the first semicolon: the name heads the run's page."""
    what = RAISED.sub("", state.message or "").partition("; ")[0]
    if state.name == HELD:
        what += ": see `matinee releases`"
    with get_client(sync_client=True) as client:
        client.set_flow_run_name(flow_run.id, f"{flow_run.name}: {what}")


def _is_set(name: str, value: Any) -> bool:
    return name != "config" and value not in (None, False)


def _text_of(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    if value is True:
        return words
    return f"{words} {' '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}"
