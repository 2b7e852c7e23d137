"""The terminal: answers on stdout, mistakes and the pipeline's lines on stderr."""

import logging
import os
import re
from collections.abc import Iterable

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from flows.command.printing import print_no_more

HOSTILE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that drive a terminal, or turn the direction of a line; not the end of one."""


def visible(text: str) -> str:
    """A text of a source, which may be hostile, as a terminal may show it."""
    return HOSTILE.sub("\N{REPLACEMENT CHARACTER}", text)


class SafeConsole(Console):
    """A console of which nothing that is printed, from titles to error messages, takes control."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable; all but those of our own have no control characters."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Print nothing more, and go on."""
        self.quiet = True
        print_no_more(self.file)


class SafeFormatter(logging.Formatter):
    """Lines of the log of which nothing takes control of the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback if there is one."""
        return visible(super().format(record))


out = SafeConsole(highlight=False, emoji=False)
err = SafeConsole(stderr=True, highlight=False, emoji=False)


def log_to_terminal() -> None:
    """Show the pipeline's lines with the time, on stderr."""
    # The pipeline's lines go to Prefect too, but there is none outside a flow run.
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("matinee")
    logger.setLevel(logging.INFO)
    logger.handlers = [handler]
    logger.propagate = False


def plain_table() -> Table:
    """An empty table with a rule under its header and nothing else."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False)


def numeric_table(label: str, *columns: str, ratio: int | None = None) -> Table:
    """The same with a column of names, of a ``ratio`` of the width, and columns of numbers."""
    table = plain_table()
    table.add_column(label, ratio=ratio)
    for column in columns:
        table.add_column(column, justify="right")
    return table
