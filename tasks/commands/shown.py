"""Reports of what users were shown."""

import logging
from pathlib import Path

from tasks.steps.ingest import summary
from warehouse.events import exposures
from warehouse.events.log import IngestReport

logger = logging.getLogger("matinee")


def shown(home: Path, file: str) -> IngestReport:
    """Append a report of exposures to their log.

    Raises:
        MatineeError: the file is broken, or the home has no films.
    """
    report = exposures.record(home, file)
    logger.info("%-22s %6.1f s   %s", "shown", report.seconds, summary(report, "exposures"))
    return report
