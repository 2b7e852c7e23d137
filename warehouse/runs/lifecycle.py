"""Lifecycle of runs: begin, finish, fail, go on, removal.

A folder without a manifest is no run: it is either still being made (its lock is held by a living process)
or what a failed or killed one left. A full run may go on from what one like it left; all else is swept away.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from warehouse import store
from warehouse.atomic import write_text
from warehouse.errors import Damaged, MatineeError
from warehouse.runs import soundness
from warehouse.runs.run import DESCRIPTION, MANIFEST, USERS, Json, Run
from warehouse.store import Store

REPORT = "report.html"
"""The page about the release of a run."""

REMAINS = (MANIFEST, DESCRIPTION, REPORT, "lineage", "metrics", "curves")
"""Entries that stay of a run that nothing goes on from any more, though its release is kept."""

# Held until the run is published or its process ends: the kernel lets go of the lock of a killed process.
_alive: dict[str, FileLock] = {}


def begin(run: Run) -> None:
    """Make the folder and mark it as alive until it is published, or this process ends."""
    with _starting(run.home):
        run.folder.mkdir(parents=True)
        _hold(run)
        write_text(run.file(DESCRIPTION), json.dumps(run.description(), indent=2, default=str))


def adopt(run: Run) -> bool:
    """Take over the folder of a full run that failed or was killed; False if another process has done so."""
    with _starting(run.home):
        if not run.folder.exists() or is_alive(run.folder):
            return False
        _hold(run)
    return True


def unfinished(home: Path, published: set[str]) -> list[Run]:
    """Full runs that nobody holds and nobody published, oldest first: one like them may go on with them."""
    with _starting(home):
        folders = [file.parent for file in sorted((home / "runs").glob(f"[!.]*/{DESCRIPTION}"))]
        left = [f.name for f in folders if f.name not in published and not is_alive(f)]
    runs = [_begun(home, name) for name in left]
    return [run for run in runs if run is not None and run.kind == "full"]


def finish(run: Run, facts: Json) -> None:
    """Write the manifest, the last file of a run, which stays alive until it is published or abandoned."""
    manifest = run.description() | facts | {"checksums": soundness.checksums(run)}
    write_text(run.file(MANIFEST), json.dumps(manifest, indent=2, default=str))


def upload(run: Run) -> None:
    """Send a finished run to the store of its home, the manifest last; a home that is a folder has it.

    What it shares with its parent is copied on the store.
    """
    found = store.of(run.home)
    if found is None:
        return
    files = {str(file.relative_to(run.home)): file for file in run.folder.rglob("*") if file.is_file()}
    own = {name: file for name, file in files.items() if not _is_private(name)}
    linked = _linked(found, run, own) if run.parent_id else {}
    found.copy(linked)
    sent = {name: name for name in own if name not in linked.values()}
    manifest = sent.pop(str(run.file(MANIFEST).relative_to(run.home)))
    found.put(sent)
    found.put({manifest: manifest})


def fetch(home: Path, run_id: str) -> None:
    """Fetch a whole run from the store; a home that is a folder has it.

    Raises:
        MatineeError: it is gone.
    """
    found, folder = store.of(home), f"runs/{run_id}"
    if found is None or (home / folder / USERS).exists():
        return
    names = [name for name in found.names(folder) if not (home / name).exists()]
    try:
        # The users last: with them it is whole.
        found.get({name: name for name in sorted(names, key=lambda name: name == f"{folder}/{USERS}")})
    except FileNotFoundError:
        raise MatineeError(f"run {run_id} was removed from {found.url} just now: try again") from None


def release(run: Run) -> None:
    """Let go of a run: retention decides of one that is published, another may go on with one that failed."""
    if lock := _alive.pop(run.id, None):
        lock.release()


def abandon(run: Run) -> None:
    """Remove what a failed run left; what is published stays as it was."""
    release(run)
    discard(run.home, run.id)


def discard(home: Path, run_id: str) -> None:
    """Remove the folder of a run that nobody holds."""
    shutil.rmtree(home / "runs" / run_id, ignore_errors=True)


def sweep(home: Path, keep: set[str]) -> list[str]:
    """Remove the runs not in ``keep`` that no process holds; returns their ids.

    Those are of killed processes, or were published once. One that waits for its publication is held.
    """
    removed = []
    with _starting(home):
        for folder in sorted((home / "runs").glob("[!.]*")):
            if folder.name not in keep and not is_alive(folder):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder.name)
    return removed


def strip(home: Path, whole: set[str]) -> None:
    """Reduce finished runs to what tells of them, but those in ``whole``, living ones and their parents."""
    with _starting(home):
        folders = sorted((home / "runs").glob("[!.]*"))
        alive = [Run.begun(home, folder.name) for folder in folders if is_alive(folder)]
        stay = whole | {name for run in alive for name in (run.id, run.parent_id)}
        for folder in folders:
            if folder.name not in stay:
                # First, so that a run that is cut short by a kill is not taken for whole.
                (folder / USERS).unlink(missing_ok=True)
                for entry in folder.iterdir():
                    if entry.is_dir() and entry.name not in REMAINS:
                        shutil.rmtree(entry)
                    elif entry.name not in (*REMAINS, ".alive"):
                        entry.unlink()


def _begun(home: Path, run_id: str) -> Run | None:
    """A run as it was described when it began; None if nobody can tell any more."""
    try:
        return Run.begun(home, run_id)
    except Damaged:
        return None


def _is_private(name: str) -> bool:
    """True for what no other machine needs of a run: runs/ID/PART..."""
    parts = name.split("/")[2:]
    return parts[0] in (*soundness.REMADE, *soundness.PASSING) or any(part.startswith(".") for part in parts)


def _linked(found: Store, run: Run, own: Mapping[str, Path]) -> dict[str, str]:
    """The objects of the parent whose files the run links, each with the name of its own."""
    theirs, mine = f"runs/{run.parent_id}/", f"runs/{run.id}/"
    pairs = {theirs + name.removeprefix(mine): name for name in own}
    there = pairs.keys() & found.names(theirs.rstrip("/")).keys()
    return {
        name: pairs[name]
        for name in sorted(there)
        if (run.home / name).exists() and own[pairs[name]].samefile(run.home / name)
    }


def _hold(run: Run) -> None:
    lock = FileLock(run.folder / ".alive", thread_local=False)
    lock.acquire(timeout=0)
    _alive[run.id] = lock


def _starting(home: Path) -> FileLock:
    """Held while a run starts, so that nobody takes a folder whose lock is about to be held for dead."""
    (home / "runs").mkdir(parents=True, exist_ok=True)
    return FileLock(home / "runs" / ".lock", thread_local=False)


def is_alive(folder: Path) -> bool:
    """True if a process is making the run of a folder, or publishing it."""
    try:
        with FileLock(folder / ".alive", timeout=0, thread_local=False):
            return False
    except Timeout:
        return True
