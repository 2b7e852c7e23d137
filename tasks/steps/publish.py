"""Publication of the computed tables as the release that people query, unless the gate holds it."""

import logging
from collections.abc import Sequence
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import config as configuration
from tasks import data
from tasks.cost import Meter, RowCounts, formatted
from tasks.gate.measures import measure
from tasks.gate.verdict import judge
from tasks.steps.artifacts import show_verdict
from warehouse.errors import Held, LostRace, MatineeError
from warehouse.releases import publication
from warehouse.releases.checks import Check
from warehouse.runs import lifecycle
from warehouse.runs.lifecycle import REPORT
from warehouse.runs.run import Run

__all__ = ["REPORT", "Held", "LostRace", "abandon", "let_go", "publish", "publish_held"]

logger = logging.getLogger("matinee")


@task(name="publish", task_run_name="publish {run.id}", cache_policy=NO_CACHE)
def publish(run: Run) -> RowCounts:
    """Close the run with its manifest, then build, validate, judge and publish its release; rows by table.

    A run that may not be published is removed: going on with it would end here again. One that the gate holds
    stays, to be looked at.
    """
    config = configuration.of(run)
    checks: list[Check] = []

    def judged(run: Run, file: Path, published: str | None) -> Sequence[Check]:
        checks[:] = judge(measure(run, config, file, published), config.gate)
        return checks

    with Meter() as meter:
        lifecycle.finish(run, {"n_events": data.load(run).dataset.n_events})
        try:
            rows: RowCounts = publication.publish(run, config.top_n, config.releases.keep, judged)
        except Held:
            data.forget_log(run)
            show_verdict(run, checks)
            raise
        except MatineeError:
            lifecycle.abandon(run)
            raise
        data.forget_log(run)
    for check in checks:
        if not check.passed:
            logger.warning("%s", check.message)
    seconds, count = meter.cost.seconds, {"recommendations": rows["recommendations"]}
    logger.info("%-22s %6.1f s   %s", "publish", seconds, formatted(count))
    return rows


def publish_held(home: Path, release: str, why: str) -> RowCounts:
    """Publish a release that the gate holds, with the reason in the journal; rows by table.

    Raises:
        MatineeError: it is not held, or it goes on from what is not published any more.
    """
    publication.check_held(home, release)
    config = configuration.of(Run.read(home, release))
    return publication.publish_held(home, release, config.top_n, config.releases.keep, why)


def abandon(run: Run) -> None:
    """Remove what a failed run made; what is published stays as it was."""
    lifecycle.abandon(run)


def let_go(run: Run) -> None:
    """Leave what a failed run made to whoever goes on with it; what is published stays as it was."""
    lifecycle.release(run)
