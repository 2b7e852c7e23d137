"""Ingestion of a source into the log."""

import logging
from pathlib import Path
from typing import Any

from prefect import State, Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.runtime import deployment

from tasks import settings
from tasks.cost import Cost, Meter
from warehouse.errors import Unreachable
from warehouse.events import log as event_log
from warehouse.events.log import IngestReport
from warehouse.sources import source as sources

logger = logging.getLogger("matinee")

DELAYS = [30.0, 120.0, 600.0]
"""Seconds before each further try of a scheduled run to reach its source."""

DEFAULT = "ml-1m"
"""Source of an empty log: downloaded once, then cached."""

SYNTHETIC = "synthetic"
"""Its stand-in without a network, where that is allowed."""


def _may_pass(task: Task[Any, Any], run: TaskRun, state: State) -> bool:
    """True if a scheduled run failed of what may be over soon; at a terminal people try again."""
    error = state.result(raise_on_failure=False)
    return deployment.id is not None and isinstance(error, (Unreachable, OSError))


@task(
    name="ingest",
    task_run_name="ingest {source}",
    cache_policy=NO_CACHE,
    retries=len(DELAYS),
    retry_delay_seconds=DELAYS,
    retry_condition_fn=_may_pass,
)
def ingest(home: Path, source: str) -> tuple[IngestReport, Cost]:
    """Append a source, or a batch of new ratings, to the log.

    Raises:
        MatineeError: the source is broken.
    """
    with Meter() as meter:
        report = event_log.ingest(home, source, settings.environment().clock_tolerance)
    logger.info("%-22s %6.1f s   %s", "ingest", meter.cost.seconds, summary(report))
    return report, meter.cost


def check_source(source: str | None) -> None:
    """Look for a source now, not in the middle of a flow.

    Raises:
        MatineeError: there is none.
    """
    named = source or settings.source()
    if named is not None and named != DEFAULT:
        sources.resolve(named)


def choose_source(home: Path, source: str | None, or_synthetic: bool) -> str | None:
    """The source to ingest: the one given; for an empty log the default; None where the log is enough.

    With ``or_synthetic`` a default that cannot be downloaded is replaced, loudly, by synthetic data.
    """
    if source is not None or event_log.batches(home):
        return source
    if not or_synthetic:
        return DEFAULT
    try:
        sources.resolve(DEFAULT)
    except Unreachable as error:
        logger.warning("%s", error)
        logger.warning(
            "SYNTHETIC DATA: the log is empty and %s cannot be had: these ratings are made up.", DEFAULT
        )
        return SYNTHETIC
    return DEFAULT


def summary(report: IngestReport, what: str = "ratings") -> str:
    """One line for people."""
    if report.status == "known" and not report.rows_returned:
        return f"nothing new in {report.source}"
    bad = ", ".join(f"{count:,} {reason}" for reason, count in report.quarantined.items())
    back = f", {report.rows_returned:,} back from quarantine" if report.rows_returned else ""
    return f"{report.rows_logged:,} new {what}{back}" + (f"; quarantined: {bad}" if bad else "")
