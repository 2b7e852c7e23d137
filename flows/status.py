"""The look at the published release as a run, which fails if that is too old."""

from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.naming import run_name, say_why
from tasks import settings
from tasks.commands import status as command
from tasks.steps.recover import go_back_if_damaged

look = task(name="status", task_run_name="status", cache_policy=NO_CACHE)(command.fresh)
check = task(name="check", task_run_name="check", cache_policy=NO_CACHE)(go_back_if_damaged)


@flow(name="status", flow_run_name=run_name, on_failure=[say_why], timeout_seconds=600)
def status() -> dict[str, Any]:
    """Fail if nothing was published for longer than MATINEE_MAX_AGE_HOURS; go back from a damaged release."""
    check(settings.home())
    return look()
