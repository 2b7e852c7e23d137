"""From computed tables to the release that people query."""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import data, settings
from tasks.step import Meter, told
from warehouse.errors import LostRace
from warehouse.releases import serving
from warehouse.runs import run as runs
from warehouse.runs.run import Run

__all__ = ["LostRace", "abandon", "publish"]

log = logging.getLogger("matinee")


@task(name="publish", task_run_name="publish {run.id}", cache_policy=NO_CACHE)
def publish(run: Run, top_n: int) -> dict[str, int]:
    """Close the run with its manifest, then build, validate and publish its release; rows by table."""
    with Meter() as meter:
        dataset, _ = data.load(run)
        runs.finish(run, {"n_events": dataset.n_events})
        rows: dict[str, int] = serving.publish(run, top_n, settings.keep_releases())
    log.info(
        "%-22s %6.1f s   %s", "publish", meter.seconds, told({"recommendations": rows["recommendations"]})
    )
    return rows


@task(name="abandon", cache_policy=NO_CACHE)
def abandon(run: Run) -> None:
    """Remove what a failed run made; what is published stays as it was."""
    runs.abandon(run)
