"""Publication, whichever flow publishes."""

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.steps.publish import abandon
from tasks.steps.start import Run

PUBLISHING = "matinee-publish"
"""The global concurrency limit that shows in Prefect's UI who publishes and who waits."""


@contextmanager
def or_abandoned(run: Run) -> Iterator[None]:
    """Remove what the run made if it fails or is interrupted; what is published stays as it was."""
    try:
        yield
    except BaseException:
        abandon(run)
        raise
