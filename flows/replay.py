"""Replay of past days as a run, each way of keeping the model up to date a row of its table."""

from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from pydantic import NonNegativeInt

from flows.limits import HOUR
from flows.naming import run_name, say_why
from tasks.commands import replay as command
from tasks.config import Changes
from tasks.steps.artifacts import show_table

live_through = task(name="replay", task_run_name="replay {begin} to {end}", cache_policy=NO_CACHE)(
    command.replay
)


@flow(name="replay", flow_run_name=run_name, on_failure=[say_why], timeout_seconds=24 * HOUR)
def replay(
    begin: str,
    end: str,
    source: str | None = None,
    seed: NonNegativeInt | None = None,
    out: Path | None = None,
    config: Changes = Changes(),
) -> dict[str, Any]:
    """Live through past days hour by hour, under six ways of keeping the model up to date.

    Args:
        begin: The first day, UTC, such as 2000-11-20.
        end: The last day, UTC, included.
        source: A folder or zip in a MovieLens layout, a ratings file, ml-1m, or synthetic[:scale], of which
            the log does not learn. By default MATINEE_SOURCE, else the log.
        seed: Seed of everything drawn at random. By default that of the configuration.
        out: File on the worker that all metrics are written to, as JSON.
        config: Settings that win over matinee.toml; whatever is left out stays as it is there.
    """
    found = live_through(begin, end, source, seed, out, config.changes)
    show_table("replay", found["rows"], f"{begin} to {end}, seed {found['seed']}")
    return found
