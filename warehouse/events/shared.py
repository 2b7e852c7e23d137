"""The log of a home on a store: fetched before it is read, sent whole or not at all after an ingest.

``log.json`` lists the objects of the log by the paths of their files. An ingest sends what it changed under
new names and then replaces the list, on the condition that nobody else has: it commits the batch, the
catalogue and the quarantine in one step. Who comes second ingests again, after the batch of the first.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from warehouse import store
from warehouse.atomic import write_text
from warehouse.store import Json, Store

logger = logging.getLogger("matinee")

HEAD = "log.json"

FOLDERS = ("events", "behaviour", "exposures", "block_list", "catalog", "quarantine")

LOCK = ".ingest.lock"
"""Held while the files of the log change."""

T = TypeVar("T")


def pull(home: Path) -> None:
    """Fetch what others ingested; a home that is a folder is always up to date."""
    if found := store.of(home):
        with FileLock(home / LOCK):
            _pull(found)


def change(home: Path, work: Callable[[], T]) -> T:
    """Do ``work``, which changes files of the log, and send them; returns its answer. The caller holds LOCK.

    Both are done again if somebody else changed the log meanwhile.
    """
    found = store.of(home)
    if found is None:
        return work()
    while True:
        listed, version = _pull(found)
        before = _stamps(home)
        (home / HEAD).unlink(missing_ok=True)  # until all is sent, the files may be of nobody's log
        result = work()
        try:
            _push(found, listed, version, before)
        except store.Taken:
            logger.info("somebody else changed the log of %s: ingesting after that", found.url)
        else:
            return result


def _pull(found: Store) -> tuple[Json, str | None]:
    """Make the folder's log that of the store; returns the list of its objects, and its version."""
    head, version = found.read(HEAD)
    listed: Json = head.get("files", {})
    have = found.folder / HEAD
    fetched: Json = json.loads(have.read_text()) if have.exists() else {}
    present = set(_stamps(found.folder))
    missing = {
        path: facts["key"]
        for path, facts in listed.items()
        if path not in present or not _is(found.folder / path, facts, fetched.get(path))
    }
    found.get(missing)
    for path in present - set(listed):
        (found.folder / path).unlink()
    if fetched != listed:
        write_text(have, json.dumps(listed))
    return listed, version


def _is(file: Path, facts: Json, fetched: Json | None) -> bool:
    """True if a file is as listed; one that is known to come from the store is not read."""
    return fetched == facts or (
        fetched is None and store.facts(file) == {name: facts[name] for name in ("sha256", "size")}
    )


def _push(found: Store, listed: Json, version: str | None, before: dict[str, tuple[int, int]]) -> None:
    files, changed = {}, {}
    for path, stamp in _stamps(found.folder).items():
        if before.get(path) == stamp:
            files[path] = listed[path]
        else:
            facts = store.facts(found.folder / path)
            stem, _, suffix = path.rpartition(".")
            files[path] = {"key": f"{stem}.{facts['sha256'][:12]}.{suffix}", **facts}
            changed[path] = files[path]["key"]
    if files != listed:
        found.put(changed)
        found.swap(HEAD, {"files": files}, version)
        _sweep(found, {facts["key"] for facts in files.values()})
    write_text(found.folder / HEAD, json.dumps(files))


def _sweep(found: Store, keys: set[str]) -> None:
    """Remove what no list names any more; lately replaced objects stay for whoever is fetching them."""
    objects = {name: time for folder in FOLDERS for name, time in found.names(folder).items()}
    found.remove(name for name, time in objects.items() if name not in keys and store.is_forgotten(time))


def _stamps(home: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of the files of the log, by path: files are replaced, never written into."""
    files = [file for folder in FOLDERS for file in (home / folder).glob("[!.]*")]
    stats = {str(file.relative_to(home)): file.stat() for file in files}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in stats.items()}
