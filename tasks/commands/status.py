"""Whether all is well: the published release and its age, the last ones, what waits for somebody."""

from datetime import timedelta

from tasks import settings
from tasks.commands.answer import Answer
from warehouse.errors import MatineeError
from warehouse.events import quarantine
from warehouse.releases import journal, queries, retention
from warehouse.runs.run import utc_now

LAST = 5
"""Releases that are listed, the newest, beside those that the gate holds."""


def status() -> Answer:
    """The published release, the newest ones, those held, warnings, unfinished runs, rows in quarantine.

    ``stale`` is true where the published release began more than ``max_age_hours`` ago.

    Raises:
        MatineeError: nothing is published.
    """
    home, limit = settings.home(), settings.environment().max_age_hours
    release = queries.release(home)
    age = (utc_now() - release["created_at"]) / timedelta(hours=1)
    failed = [row for row in queries.checks(home, release["release_id"]) if not row["passed"]]
    return {
        "release_id": release["release_id"],
        "kind": release["kind"],
        "as_of": release["as_of"],
        "created_at": release["created_at"],
        "n_events": release["n_events"],
        "age_hours": age,
        "max_age_hours": limit,
        "stale": age > limit,
        "releases": journal.releases(home)[:LAST],
        "held": journal.held(home)[::-1],
        "warnings": [row["message"] for row in failed],
        "unfinished": [run.id for run in retention.unfinished(home)],
        "quarantine": quarantine.counts(home),
    }


def fresh() -> Answer:
    """The same, of a release that is young enough.

    Raises:
        MatineeError: it is too old, or nothing is published.
    """
    found = status()
    if found["stale"]:
        raise MatineeError(
            f"release {found['release_id']} is {found['age_hours']:.1f} h old, more than "
            f"{found['max_age_hours']:g} h (MATINEE_MAX_AGE_HOURS): see `matinee status`"
        )
    return found
