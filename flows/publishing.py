"""Publication, whichever flow publishes."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency
from prefect.states import Failed

from flows.limits import PUBLISHING
from flows.naming import HELD
from tasks.errors import MatineeError, explained
from tasks.steps.publish import REPORT, Held, abandon, let_go
from tasks.steps.start import Run

logger = logging.getLogger("matinee")

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


def held(error: Held) -> State:
    """The state of a run whose release the gate holds: failed, with a message that names check and limit.

    Who called a flow that returns it gets the error.
    """
    return Failed(name=HELD, message=str(error), data=error)


@contextmanager
def with_report(run: Run) -> Iterator[None]:
    """Leave a report with the run when its release is published, and when the gate holds it."""
    try:
        yield
    except Held:
        write_report(run)
        raise
    write_report(run)


@task(name="report", task_run_name="report {run.id}", cache_policy=NO_CACHE)
def write_report(run: Run) -> None:
    """Write the page about a release beside what its run made; ``matinee report`` can do it again."""
    from flows.command.pages.report import write
    from tasks.commands.report import read

    try:
        write(read(run.home, run.id), run.file(REPORT))
    except Exception as error:  # whatever it is, the release is published, or held, all the same
        line = explained(error)
        if line is None:
            logger.exception("the report of release %s was not written", run.id)
        else:
            logger.warning("the report of release %s was not written: %s", run.id, line)


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
