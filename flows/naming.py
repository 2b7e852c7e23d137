"""Names of runs, whichever flow runs."""

from typing import Any

from prefect.runtime import flow_run


def run_name() -> str:
    """The flow, when it was due (UTC) and what was set: nightly 2026-11-27 03:00, mode cold."""
    due = f"{flow_run.flow_name} {flow_run.scheduled_start_time:%Y-%m-%d %H:%M}"
    return ", ".join([due, *(_text_of(*given) for given in flow_run.parameters.items() if _is_set(*given))])


def _is_set(name: str, value: Any) -> bool:
    return name != "config" and value not in (None, False)


def _text_of(name: str, value: Any) -> str:
    words = name.replace("_", " ")
    if value is True:
        return words
    return f"{words} {' '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}"
