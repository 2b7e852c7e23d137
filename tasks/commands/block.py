"""Reports of what users asked not to see."""

import logging
from pathlib import Path

from tasks.steps.ingest import summary
from warehouse.events import block_list
from warehouse.events.log import IngestReport

logger = logging.getLogger("matinee")


def block(home: Path, file: str) -> IngestReport:
    """Append a report of requests to the log of block lists.

    Raises:
        MatineeError: the file is broken, or the home has no films.
    """
    report = block_list.record(home, file)
    logger.info("%-22s %6.1f s   %s", "block", report.seconds, summary(report, "requests"))
    return report
