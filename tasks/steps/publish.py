"""Publication of the computed tables as the release that people query."""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import config as configuration
from tasks import data
from tasks.cost import Meter, RowCounts, formatted
from warehouse.errors import LostRace, MatineeError
from warehouse.releases import publication
from warehouse.runs import lifecycle
from warehouse.runs.run import Run

__all__ = ["LostRace", "abandon", "let_go", "publish"]

logger = logging.getLogger("matinee")


@task(name="publish", task_run_name="publish {run.id}", cache_policy=NO_CACHE)
def publish(run: Run) -> RowCounts:
    """Close the run with its manifest, then build, validate and publish its release; rows by table.

    A run that may not be published is removed: going on with it would end here again.
    """
    config = configuration.of(run)
    with Meter() as meter:
        lifecycle.finish(run, {"n_events": data.load(run).dataset.n_events})
        try:
            rows: RowCounts = publication.publish(run, config.top_n, config.releases.keep)
        except MatineeError:
            lifecycle.abandon(run)
            raise
        data.forget_log(run)
    seconds, count = meter.cost.seconds, {"recommendations": rows["recommendations"]}
    logger.info("%-22s %6.1f s   %s", "publish", seconds, formatted(count))
    return rows


def abandon(run: Run) -> None:
    """Remove what a failed run made; what is published stays as it was."""
    lifecycle.abandon(run)


def let_go(run: Run) -> None:
    """Leave what a failed run made to whoever goes on with it; what is published stays as it was."""
    lifecycle.release(run)
