"""Publication, whichever flow publishes."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from prefect.concurrency.sync import concurrency

from tasks.errors import MatineeError, explained
from tasks.steps.publish import Held, abandon, let_go
from tasks.steps.start import Run

logger = logging.getLogger("matinee")

PUBLISHING = "matinee-publish"
"""The global concurrency limit that shows in Prefect's UI who publishes and who waits."""

PATIENCE = 60.0
"""Seconds to wait for the limit; a publication takes a few."""


@contextmanager
def in_turn() -> Iterator[None]:
    """Wait for whoever publishes.

    A file lock is what serialises publications; the limit makes the wait visible. A run that was killed may
    hold the limit for good, when the server that knew of its lease is gone too: nobody waits for it for long.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(concurrency(PUBLISHING, occupy=1, timeout_seconds=PATIENCE))
        except TimeoutError:
            logger.warning(
                "the limit %s was not free within %.0f s: a killed run may hold it", PUBLISHING, PATIENCE
            )
        yield


@contextmanager
def in_a_line() -> Iterator[None]:
    """Errors of a full disk or a damaged file as what Prefect's UI shows of a failed run: one line.

    Raises:
        MatineeError: it was one of these.
    """
    try:
        yield
    except MatineeError:
        raise
    except Exception as error:
        if (line := explained(error)) is None:
            raise
        raise MatineeError(line) from error


@contextmanager
def or_left(run: Run) -> Iterator[None]:
    """Let go of a run that fails or is interrupted, for the same command to go on with it."""
    try:
        with in_a_line():
            yield
    except BaseException:
        let_go(run)
        raise


@contextmanager
def or_abandoned(run: Run) -> Iterator[None]:
    """Remove what the run made if it fails or is interrupted, but not what the gate holds.

    What is published stays as it was.
    """
    try:
        with in_a_line():
            yield
    except Held:
        raise
    except BaseException:
        abandon(run)
        raise
