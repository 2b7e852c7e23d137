"""Publication: a release is built, validated, made durable, and then published in one atomic step."""

import logging

from warehouse.atomic import Staging
from warehouse.errors import LostRace, MatineeError
from warehouse.releases import journal, serving
from warehouse.releases.build import build, release_row
from warehouse.releases.checks import validate
from warehouse.releases.lock import locked
from warehouse.releases.retention import forget
from warehouse.runs import lifecycle
from warehouse.runs.run import Json, Run
from warehouse.store import Taken

logger = logging.getLogger("matinee")


def publish(run: Run, top_n: int, keep: int) -> dict[str, int]:
    """Build, validate and publish the release of a finished run, then forget all but the last ``keep``.

    Users whom incremental releases refreshed while a full run computed keep those rows: they know more.
    Returns rows by table. What is published stays unchanged if it fails.

    Raises:
        LostRace: anything was published or rolled back since an incremental run began.
        MatineeError: a check fails, or somebody rolled back since a full run began.
    """
    with locked(run.home):
        while True:
            try:
                rows = _make_current(run, top_n)
                break
            except Taken:
                logger.info("another machine published meanwhile: looking again")
        lifecycle.release(run)
        forget(run.home, keep)
    return rows


def _make_current(run: Run, top_n: int) -> dict[str, int]:
    """Build the release over what is published now, and publish it.

    Raises:
        Taken: another machine has published meanwhile.
    """
    entries = journal.entries(run.home)
    meanwhile = entries[run.journal_length :]
    _check_race(run, meanwhile)
    with Staging() as staging:
        file = staging.path(serving.file_of(run.home, run.id))
        rows = build(run, file, meanwhile, top_n)
        validate(run, file, top_n)
        staging.commit()
    lifecycle.upload(run)
    previous = serving.current_release(run.home)
    entry = {"action": "publish", "previous": previous, **release_row(run)}
    journal.append(run.home, entry, len(entries))
    serving.make_current(run.home, run.id)
    return rows


def _check_race(run: Run, meanwhile: list[Json]) -> None:
    now = serving.current_release(run.home)
    # The journal alone does not do: something may be published between the look at the parent and at it.
    if run.kind == "incremental" and (meanwhile or now != run.parent_id):
        raise LostRace(f"release {now} was published while this run computed from {run.parent_id}")
    if any(entry["action"] == "rollback" for entry in meanwhile):
        raise MatineeError(
            f"somebody rolled back to {now} while this run computed: "
            "nothing is published; look at `matinee releases`, then run again"
        )
