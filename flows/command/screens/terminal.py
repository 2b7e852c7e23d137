"""The terminal: answers on stdout, mistakes and the pipeline's lines on stderr."""

import logging
import os

from rich import box
from rich.console import Console
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def log_to_terminal() -> None:
    """Show the pipeline's lines with the time, on stderr."""
    # The pipeline's lines go to Prefect too, but there is none outside a flow run.
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("matinee")
    logger.setLevel(logging.INFO)
    logger.handlers = [handler]
    logger.propagate = False


def plain_table() -> Table:
    """An empty table with a rule under its header and nothing else."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False)
