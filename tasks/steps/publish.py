"""Publication of the computed tables as the release that people query."""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import config as configuration
from tasks import data
from tasks.step import Meter, RowCounts, formatted
from warehouse.errors import LostRace
from warehouse.releases import publication
from warehouse.runs import lifecycle
from warehouse.runs.run import Run

__all__ = ["LostRace", "abandon", "publish"]

logger = logging.getLogger("matinee")


@task(name="publish", task_run_name="publish {run.id}", cache_policy=NO_CACHE)
def publish(run: Run) -> RowCounts:
    """Close the run with its manifest, then build, validate and publish its release; rows by table."""
    config = configuration.of(run)
    with Meter() as meter:
        n_events = data.load(run).dataset.n_events
        data.forget_log(run)
        lifecycle.finish(run, {"n_events": n_events})
        rows: RowCounts = publication.publish(run, config.top_n, config.releases.keep)
    seconds, count = meter.cost.seconds, {"recommendations": rows["recommendations"]}
    logger.info("%-22s %6.1f s   %s", "publish", seconds, formatted(count))
    return rows


def abandon(run: Run) -> None:
    """Remove what a failed run made; what is published stays as it was."""
    lifecycle.abandon(run)
