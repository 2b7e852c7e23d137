"""Runs: everything one flow run made, in ``runs/ID``, with the manifest written last.

A folder without ``manifest.json`` is no run: it is either still being made (its lock is held by a living
process) or the left-over of a killed one, which the next run sweeps away.
"""

import json
import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from warehouse.errors import MatineeError

Json = dict[str, Any]

# Held until the process ends, however it ends: the kernel lets go of the lock of a killed process.
_alive: dict[str, FileLock] = {}


@dataclass(frozen=True)
class Run:
    """One flow run; small and picklable, so that it can cross task boundaries."""

    id: str  # also the release id
    home: Path
    kind: str  # full or incremental
    as_of: datetime  # UTC, naive, exclusive
    batches: tuple[str, ...]  # names of the event files this run reads
    parent_id: str | None  # the release it was computed from
    config: Json = field(hash=False)  # everything that decides the result, by name
    source: str  # the data set
    code_version: str
    created_at: datetime  # UTC, naive
    journal_length: int  # publications and rollbacks ever made when the run began

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.home / "runs" / self.id

    def file(self, name: str) -> Path:
        """The path of one of its files; the folder is made if missing."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def new_id(now: datetime) -> str:
    """A release id that sorts by time of creation, e.g. 20261122-024500-913377."""
    return f"{now:%Y%m%d-%H%M%S-%f}"


def begin(run: Run) -> None:
    """Make the folder and mark it as alive until this process ends."""
    with _starting(run.home):
        run.folder.mkdir(parents=True)
        lock = FileLock(run.folder / ".alive", thread_local=False)
        lock.acquire(timeout=0)
        _alive[run.id] = lock


def finish(run: Run, facts: Json) -> None:
    """Write the manifest, the last file of a run, in one atomic step."""
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
    write_atomically(run.file("manifest.json"), json.dumps(manifest, indent=2, default=str))
    _release(run.id)


def abandon(run: Run) -> None:
    """Remove what a failed run left; what is published stays as it was."""
    _release(run.id)
    shutil.rmtree(run.folder, ignore_errors=True)


def manifest(home: Path, run_id: str) -> Json:
    """The manifest of a finished run. Raises FileNotFoundError for any other."""
    facts: Json = json.loads((home / "runs" / run_id / "manifest.json").read_text())
    return facts


def read(home: Path, run_id: str) -> Run:
    """A finished run as it was described when it began. Raises FileNotFoundError for any other."""
    facts = manifest(home, run_id)
    return Run(
        id=run_id,
        home=home,
        kind=facts["kind"],
        as_of=datetime.fromisoformat(facts["as_of"]),
        batches=tuple(facts["batches"]),
        parent_id=facts["parent_id"],
        config=facts["config"],
        source=facts["source"],
        code_version=facts["code_version"],
        created_at=datetime.fromisoformat(facts["created_at"]),
        journal_length=facts["journal_length"],
    )


def parent(run: Run) -> Run:
    """The finished run that a run goes on from.

    Raises MatineeError if it goes on from none, FileNotFoundError if that one is gone.
    """
    if run.parent_id is None:
        raise MatineeError(f"run {run.id} goes on from no other")
    return read(run.home, run.parent_id)


def share(parent: Run, run: Run, pattern: str) -> None:
    """Take over the parent's files of a glob pattern that the run has not made itself, without a copy."""
    for file in sorted(parent.folder.glob(pattern)):
        own = run.file(str(file.relative_to(parent.folder)))
        if not own.exists():
            own.hardlink_to(file)


def sweep(home: Path, keep: set[str]) -> list[str]:
    """Remove the runs of killed processes and the finished ones not in ``keep``; returns their ids."""
    removed = []
    with _starting(home):
        for folder in sorted((home / "runs").glob("[!.]*")):
            finished = (folder / "manifest.json").exists()
            if folder.name not in keep and folder.name not in _alive and (finished or _is_dead(folder)):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder.name)
    return removed


def utc_now() -> datetime:
    """The wall clock in UTC, naive: how all times are stored."""
    return datetime.now(UTC).replace(tzinfo=None)


def write_atomically(path: Path, text: str) -> None:
    """Write a small text file so that a reader, or a crash, sees the old or the new one whole."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)


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
