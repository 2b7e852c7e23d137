"""Reports of what users were shown, and of what they asked not to see."""

import logging
from pathlib import Path

from tasks.steps.ingest import summary
from warehouse.events import block_list, exposures
from warehouse.events.log import IngestReport

logger = logging.getLogger("matinee")

LOGS = {"shown": (exposures.record, "exposures"), "block": (block_list.record, "requests")}
"""By command: how its report is logged, and what a row of it is."""


def record(home: Path, command: str, file: str) -> IngestReport:
    """Append a report to the log of a command.

    Raises:
        MatineeError: the file is broken, or the home has no films.
    """
    append, rows = LOGS[command]
    report = append(home, file)
    logger.info("%-22s %6.1f s   %s", command, report.seconds, summary(report, rows))
    return report
