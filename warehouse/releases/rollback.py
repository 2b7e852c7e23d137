"""The way back to an earlier release."""

from pathlib import Path

from warehouse.errors import LostRace, MatineeError
from warehouse.releases import journal, serving, soundness
from warehouse.releases.lock import locked
from warehouse.runs.run import utc_now
from warehouse.store import Taken


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
        if target not in stored:
            raise MatineeError(f"release {target} is not kept here; kept are: {', '.join(stored) or 'none'}")
        soundness.check(home, target)
        entry = {"action": "rollback", "release_id": target, "from": now, "at": utc_now()}
        try:
            journal.append(home, entry, length)
        except Taken:
            raise LostRace(
                "another machine published or rolled back just now: see `matinee releases`"
            ) from None
        serving.make_current(home, target)
    return target
