"""The way back to an earlier release."""

from pathlib import Path

from warehouse.errors import MatineeError
from warehouse.releases import journal, serving
from warehouse.releases.lock import locked
from warehouse.runs.run import utc_now


def roll_back(home: Path, release: str | None = None) -> str:
    """Make an earlier release current again: the one named, or the one that was current before this one.

    Returns its id.

    Raises:
        MatineeError: there is none, or its file is no longer kept.
    """
    with locked(home):
        now = serving.current_release(home)
        target = release or journal.previous(home, now)
        if target is None:
            raise MatineeError("there is no earlier release to go back to: see `matinee releases`")
        if not serving.file_of(home, target).exists():
            stored = ", ".join(serving.kept_releases(home)) or "none"
            raise MatineeError(f"release {target} is not kept here; kept are: {stored}")
        journal.append(home, {"action": "rollback", "release_id": target, "from": now, "at": utc_now()})
        serving.make_current(home, target)
    return target
