"""Lifecycle of runs: begin, finish, fail, removal.

A folder without a manifest is no run: it is either still being made (its lock is held by a living process)
or the left-over of a killed one, which the next publication sweeps away.
"""

import json
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from warehouse.atomic import write_text
from warehouse.runs.run import MANIFEST, Json, Run

# Held until the run is published or its process ends: the kernel lets go of the lock of a killed process.
_alive: dict[str, FileLock] = {}


def begin(run: Run) -> None:
    """Make the folder and mark it as alive until it is published, or this process ends."""
    with _starting(run.home):
        run.folder.mkdir(parents=True)
        lock = FileLock(run.folder / ".alive", thread_local=False)
        lock.acquire(timeout=0)
        _alive[run.id] = lock


def finish(run: Run, facts: Json) -> None:
    """Write the manifest, the last file of a run, which stays alive until it is published or abandoned."""
    manifest = {
        "id": run.id,
        "kind": run.kind,
        "as_of": run.as_of.isoformat(),
        "parent_id": run.parent_id,
        "created_at": run.created_at.isoformat(),
        "batches": list(run.batches),
        "config": run.config,
        "source": run.source,
        "code_version": run.code_version,
        "journal_length": run.journal_length,
        **facts,
    }
    write_text(run.file(MANIFEST), json.dumps(manifest, indent=2, default=str))


def release(run: Run) -> None:
    """Let go of a run that is published: from now on retention decides."""
    if lock := _alive.pop(run.id, None):
        lock.release()


def abandon(run: Run) -> None:
    """Remove what a failed run left; what is published stays as it was."""
    release(run)
    shutil.rmtree(run.folder, ignore_errors=True)


def sweep(home: Path, keep: set[str]) -> list[str]:
    """Remove the runs not in ``keep`` that no process holds; returns their ids.

    Those are of killed processes, or were published once. One that waits for its publication is held.
    """
    removed = []
    with _starting(home):
        for folder in sorted((home / "runs").glob("[!.]*")):
            if folder.name not in keep and not _is_held(folder):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder.name)
    return removed


def _starting(home: Path) -> FileLock:
    """Held while a run starts, so that nobody takes a folder whose lock is about to be held for dead."""
    (home / "runs").mkdir(parents=True, exist_ok=True)
    return FileLock(home / "runs" / ".lock", thread_local=False)


def _is_held(folder: Path) -> bool:
    try:
        with FileLock(folder / ".alive", timeout=0, thread_local=False):
            return False
    except Timeout:
        return True
