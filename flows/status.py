"""The look at the published release as a run, which fails if that is too old."""

from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.naming import run_name
from tasks.commands import status as command

look = task(name="status", task_run_name="status", cache_policy=NO_CACHE)(command.fresh)


@flow(name="status", flow_run_name=run_name, timeout_seconds=600)
def status() -> dict[str, Any]:
    """Fail if nothing was published for longer than MATINEE_MAX_AGE_HOURS."""
    return look()
