"""A home of a benchmark's own whose log has the ratings of MATINEE_SOURCE, beside a Prefect server."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.server import server
from tasks import settings
from warehouse.events import log as event_log


@contextmanager
def filled_home() -> Iterator[Path]:
    """The folder, which is MATINEE_HOME from here on; the log is all that is read.

    Nothing of Prefect may be imported before.
    """
    source = settings.source()
    if source is None:
        sys.exit("set MATINEE_SOURCE to a source")
    with tempfile.TemporaryDirectory() as folder, server(Path(folder, "prefect")):
        os.environ["MATINEE_HOME"] = folder
        del os.environ["MATINEE_SOURCE"]
        event_log.ingest(Path(folder), source)
        yield Path(folder)
