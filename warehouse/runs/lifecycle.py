"""Lifecycle of runs: begin, finish, fail, removal.

A folder without a manifest is no run: it is either still being made (its lock is held by a living process)
or the left-over of a killed one, which the next run sweeps away.
"""

import json
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from warehouse.atomic import write_text
from warehouse.runs.run import MANIFEST, Json, Run

# Held until the process ends, however it ends: the kernel lets go of the lock of a killed process.
_alive: dict[str, FileLock] = {}


def begin(run: Run) -> None:
    """Make the folder and mark it as alive until this process ends."""
    with _starting(run.home):
        run.folder.mkdir(parents=True)
        lock = FileLock(run.folder / ".alive", thread_local=False)
        lock.acquire(timeout=0)
        _alive[run.id] = lock


def finish(run: Run, facts: Json) -> None:
    """Write the manifest, the last file of a run."""
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
    _release(run.id)


def abandon(run: Run) -> None:
    """Remove what a failed run left; what is published stays as it was."""
    _release(run.id)
    shutil.rmtree(run.folder, ignore_errors=True)


def sweep(home: Path, keep: set[str]) -> list[str]:
    """Remove the runs of killed processes and the finished ones not in ``keep``; returns their ids."""
    removed = []
    with _starting(home):
        for folder in sorted((home / "runs").glob("[!.]*")):
            finished = (folder / MANIFEST).exists()
            if folder.name not in keep and folder.name not in _alive and (finished or _is_dead(folder)):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder.name)
    return removed


def _starting(home: Path) -> FileLock:
    """Held while a run starts, so that nobody takes a folder whose lock is about to be held for dead."""
    (home / "runs").mkdir(parents=True, exist_ok=True)
    return FileLock(home / "runs" / ".lock", thread_local=False)


def _release(run_id: str) -> None:
    if lock := _alive.pop(run_id, None):
        lock.release()


def _is_dead(folder: Path) -> bool:
    try:
        with FileLock(folder / ".alive", timeout=0, thread_local=False):
            return True
    except Timeout:
        return False
