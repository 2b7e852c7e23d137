"""The way back to an earlier release: somebody asks for it, or the file of the published one is damaged."""

from pathlib import Path

from warehouse import store
from warehouse.errors import LostRace, MatineeError
from warehouse.releases import journal, serving, soundness
from warehouse.releases.lock import locked
from warehouse.runs.run import Json, utc_now
from warehouse.store import Taken

DAMAGED = "damaged"
"""Key of an entry of the journal: the reason why the release before it could not stay."""


def roll_back(home: Path, release: str | None = None) -> str:
    """Make an earlier release current again: the one named, or the one that was current before this one.

    Returns its id.

    Raises:
        LostRace: another machine published or rolled back at the same moment.
        MatineeError: there is none, or its file is no longer kept, or damaged.
    """
    with locked(home):
        length = len(journal.entries(home))
        now = serving.current_release(home)
        target = release or journal.previous(home, now)
        if target is None:
            raise MatineeError("there is no earlier release to go back to: see `matinee releases`")
        stored = serving.kept_releases(home)
        if target in [row["release_id"] for row in journal.held(home)]:
            raise MatineeError(f"release {target} is held: see `matinee publish --help`")
        if target not in stored:
            raise MatineeError(f"release {target} is not kept here; kept are: {', '.join(stored) or 'none'}")
        if target not in [row["release_id"] for row in journal.publications(home)]:
            raise MatineeError(f"release {target} was never published: see `matinee releases`")
        soundness.check(home, target)
        _go_back(home, target, {"from": now}, length)
    return target


def recover(home: Path) -> str | None:
    """Go back to the newest whole release before the published one if the file of that is damaged.

    Returns what was done, in a line; None if nothing was: the file is whole, or no earlier one is. What a
    machine has fetched from a store it fetches again.
    """
    if store.of(home) is not None or serving.current_release(home) is None:
        return None
    with locked(home):
        length = len(journal.entries(home))
        now = serving.current_release(home)
        problem = soundness.damage(home, now) if now else None
        target = journal.previous(home, now) if problem else None
        while target is not None and soundness.damage(home, target):
            target = journal.previous(home, target)
        if target is None:
            return None
        _go_back(home, target, {"from": now, DAMAGED: problem}, length)
    return f"release {now} is damaged ({problem}): release {target} is published again"


def _go_back(home: Path, target: str, facts: Json, length: int) -> None:
    """Make a release current again; facts go into the journal, of that length. The caller has the lock.

    Raises:
        LostRace: another machine published or rolled back at the same moment.
    """
    entry = {"action": "rollback", "release_id": target, "at": utc_now(), **facts}
    try:
        journal.append(home, entry, length)
    except Taken:
        raise LostRace("another machine published or rolled back just now: see `matinee releases`") from None
    serving.make_current(home, target)
