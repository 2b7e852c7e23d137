"""Publication: a release is built, validated, judged, made durable, and then published in one atomic step."""

import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from warehouse import atomic, checksum
from warehouse.atomic import Staging
from warehouse.errors import Damaged, Held, LostRace, MatineeError
from warehouse.releases import journal, rollback, serving, soundness
from warehouse.releases.build import add_checks, build, release_row
from warehouse.releases.checks import Check, table
from warehouse.releases.lock import locked
from warehouse.releases.retention import forget, forget_held, remove_held
from warehouse.releases.validation import validate
from warehouse.runs import files, lifecycle
from warehouse.runs.run import Json, Run
from warehouse.store import Taken

logger = logging.getLogger("matinee")

Judge = Callable[[Run, Path, str | None], Sequence[Check]]
"""The checks of a run, of its closed serving file and of the release that it would take the place of."""

CHECKS = "checks"
"""Table of a run: the checks of a release that was held, which is published with them."""


def no_judge(*_: object) -> Sequence[Check]:
    """No checks but those of the form."""
    return ()


def publish(run: Run, top_n: int, keep: int, judge: Judge = no_judge) -> dict[str, int]:
    """Build, validate, judge and publish the release of a run, then forget all but the last ``keep``.

    Users whom incremental releases refreshed while a full run computed keep those rows: they know more.
    Returns rows by table. What is published stays unchanged if it fails.

    Raises:
        Held: a blocking check fails: the release is kept aside for inspection.
        LostRace: anything was published or rolled back since an incremental run began.
        MatineeError: a check of the form fails, or somebody rolled back since a full run began.
    """
    with locked(run.home):
        while True:
            try:
                rows = _make_current(run, top_n, judge)
                break
            except Taken:
                logger.info("another machine published meanwhile: looking again")
        lifecycle.release(run)
        forget(run.home, keep)
    return rows


def publish_held(home: Path, release: str, top_n: int, keep: int, why: str) -> dict[str, int]:
    """Publish a release that the gate holds, with the reason in the journal; returns rows by table.

    Raises:
        MatineeError: it is not held here, or it goes on from what is not published any more.
    """
    with locked(home):
        check_held(home, release)
        try:
            rows = _force(Run.read(home, release), top_n, why)
        except Taken:
            raise LostRace("another machine published just now: see `matinee releases`") from None
        remove_held(home, release)
        forget(home, keep)
    return rows


def check_held(home: Path, release: str) -> None:
    """Look whether the gate holds a release.

    Raises:
        MatineeError: it does not.
    """
    names = [row["release_id"] for row in journal.held(home)]
    if release not in names:
        raise MatineeError(f"release {release} is not held here; held are: {', '.join(names) or 'none'}")


def _make_current(run: Run, top_n: int, judge: Judge) -> dict[str, int]:
    """Build the release over what is published now, and publish it.

    Raises:
        Held: a blocking check fails.
        Taken: another machine has published meanwhile.
    """
    entries = journal.entries(run.home)
    meanwhile = entries[run.journal_length :]
    _check_race(run, meanwhile)
    meanwhile = _whole(meanwhile)
    with Staging() as staging:
        file = staging.path(serving.file_of(run.home, run.id))
        rows = build(run, file, meanwhile, top_n)
        checks = validate(run, file, top_n)
        checks = [*checks, *judge(run, file, _comparable(run.home))]
        rows[CHECKS] += add_checks(run, file, checks)
        if any(check.holds for check in checks):
            _hold(run, file, checks)
        staging.commit()
    _announce(run, entries, checks, {})
    return rows


def _force(run: Run, top_n: int, why: str) -> dict[str, int]:
    """Build a held release over what is published now, with the checks that it had, and publish it."""
    entries = journal.entries(run.home)
    meanwhile = entries[run.journal_length :]
    now = serving.current_release(run.home)
    if run.kind == "incremental" and now != run.parent_id:
        raise MatineeError(
            f"release {run.id} refreshes {run.parent_id}, and now {now} is published: run it again"
        )
    if any(entry["action"] == "rollback" for entry in meanwhile):
        meanwhile = []  # whoever rolled back wanted none of what came since
    checks = [Check(**row) for row in files.read_table(run, CHECKS).iter_rows(named=True)]
    with Staging() as staging:
        file = staging.path(serving.file_of(run.home, run.id))
        rows = build(run, file, meanwhile, top_n)
        validate(run, file, top_n)
        rows[CHECKS] += add_checks(run, file, checks)
        staging.commit()
    _announce(run, entries, checks, {"why": why})
    return rows


def _announce(run: Run, entries: list[Json], checks: Sequence[Check], facts: Json) -> None:
    """Make a release whose file is in its place the current one; the journal keeps what the checks measured.

    Raises:
        Taken: another machine has published meanwhile.
    """
    lifecycle.upload(run)
    previous = serving.current_release(run.home)
    facts |= {journal.CHECKSUM: checksum.of(serving.file_of(run.home, run.id))}
    measured = {check.check: check.value for check in checks if check.value is not None}
    entry = {"action": "publish", "previous": previous, "measured": measured, **facts, **release_row(run)}
    journal.append(run.home, entry, len(entries))
    serving.make_current(run.home, run.id)


def _comparable(home: Path) -> str | None:
    """The published release, to hold a new one against; None if there is none, or it is damaged."""
    release = serving.current_release(home)
    if release is None:
        return None
    try:
        soundness.check(home, release)
        Run.read(home, release)
    except Damaged as error:
        logger.warning("nothing to hold the new release against: %s", error)
        return None
    return release


def _hold(run: Run, file: Path, checks: Sequence[Check]) -> None:
    """Keep a built release aside, in place of one held before.

    Raises:
        Held: always, with what fails.
    """
    failed = [check.message for check in checks if check.holds]
    files.write_table(run, CHECKS, table(checks))
    os.replace(file, serving.held_file(run.home, run.id))
    row = release_row(run) | {"failed": failed}
    atomic.write_text(serving.held_row(run.home, run.id), json.dumps(row))
    lifecycle.release(run)
    forget_held(run.home)
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    fix = serving.how_to_publish(run.id)
    raise Held(f"release {run.id} is held: {failed[0]}{more}; what is published stays {fix}")


def _check_race(run: Run, meanwhile: list[Json]) -> None:
    now = serving.current_release(run.home)
    # The journal alone does not do: something may be published between the look at the parent and at it.
    if run.kind == "incremental" and (meanwhile or now != run.parent_id):
        raise LostRace(f"release {now} was published while this run computed from {run.parent_id}")
    if any(entry["action"] == "rollback" for entry in _whole(meanwhile)):
        raise MatineeError(
            f"somebody rolled back to {now} while this run computed: "
            "nothing is published; look at `matinee releases`, then run again"
        )


def _whole(meanwhile: list[Json]) -> list[Json]:
    """The entries of a journal without those of releases that were damaged, and of the way back from them."""
    damaged = {entry["from"] for entry in meanwhile if rollback.DAMAGED in entry}
    return [entry for entry in meanwhile if not {entry["release_id"], entry.get("from")} & damaged]
