"""Publications of a home on a store.

``serving/current.json`` takes the place of the link. It names the published release, its file with size and
digest, the releases that are kept, and the newest entry of the journal, which names the one before it. To
replace it, on the condition that nobody else has, is to publish: file and entry were sent before.
"""

import json
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from warehouse import store
from warehouse.errors import MatineeError
from warehouse.store import Json, Store, Taken

HEAD = "serving/current.json"

JOURNAL = "serving/journal"


def current(found: Store) -> str | None:
    """The id of the published release, or None."""
    release: str | None = found.read(HEAD)[0].get("release_id")
    return release


def kept_releases(found: Store) -> list[str]:
    """The releases whose files are kept, oldest first."""
    return sorted(found.read(HEAD)[0].get("kept", []))


def entries(found: Store) -> list[Json]:
    """The journal, oldest entry first."""
    return [link["entry"] for link in _chain(found, found.read(HEAD)[0])]


def append(found: Store, entry: Json, length: int) -> None:
    """Add an entry to a journal of so many and publish its release, the file of which is sent first if new.

    Raises:
        Taken: the journal is longer by now.
        MatineeError: the release is not kept any more.
    """
    head, version = found.read(HEAD)
    if head.get("length", 0) != length:
        raise Taken(HEAD)
    release = entry["release_id"]
    if entry["action"] == "publish":
        key = object_of(release)
        published = {"key": key, **store.facts(found.folder / key)}
        found.put({key: key})
    elif release in head["kept"]:
        published = _file_of(_chain(found, head), release)
    else:
        raise MatineeError(f"release {release} is not kept any more: see `matinee releases`")
    name = f"{JOURNAL}/{length + 1:06d}-{uuid4().hex[:8]}.json"
    found.write(name, {"entry": entry, "before": head.get("entry"), "file": published})
    new = {
        "release_id": release,
        **published,
        "kept": sorted({*head.get("kept", []), release}),
        "length": length + 1,
        "entry": name,
    }
    found.swap(HEAD, new, version)


def fetch(found: Store, release: str) -> Path:
    """The file of a release, in the folder; whole, and immutable like the object.

    Raises:
        FileNotFoundError: it is not on the store.
    """
    key = object_of(release)
    file = found.folder / key
    if not file.exists():
        # Only here: the command answers from a file that is there before locks are loaded.
        from filelock import FileLock, Timeout

        from warehouse.releases import lock

        found.get({key: key})
        # Not while somebody publishes from here: the file of that release leads nowhere yet.
        with suppress(Timeout), FileLock(file.parent / lock.FILE, timeout=0):
            _forget_here(found, {release, *kept_releases(found)})
    return file


def fetch_current(found: Store) -> Path | None:
    """The file of the published release, in the folder; None if nothing is published."""
    while (release := current(found)) is not None:
        try:
            return fetch(found, release)
        except FileNotFoundError:
            if release == current(found):
                raise
    return None


def retain(found: Store, stay: set[str], whole: set[str]) -> None:
    """Keep these releases alone, and of the others no objects; of runs not in ``whole`` what tells of them.

    First nobody can go back to what is removed, then it is removed. If somebody publishes or rolls back
    meanwhile, the next publication looks again.
    """
    head, version = found.read(HEAD)
    if head["release_id"] not in stay:
        return
    chain = _chain(found, head)
    published = {link["entry"]["release_id"] for link in chain}
    if set(head["kept"]) - stay:
        head["kept"] = sorted(stay & set(head["kept"]))
        try:
            found.swap(HEAD, head, version)
        except Taken:
            return
    _forget_here(found, set(head["kept"]))
    whole = whole & set(head["kept"])
    linked = {HEAD, *(link["name"] for link in chain)}
    objects = found.names("serving") | found.names("runs")
    found.remove(
        name
        for name, uploaded in objects.items()
        if name not in linked
        and not _stays(name, set(head["kept"]), whole)
        and (_release_of(name) in published or store.is_forgotten(uploaded))
    )


def object_of(release: str) -> str:
    """The object of a release."""
    return f"serving/recs-{release}.duckdb"


def _forget_here(found: Store, stay: set[str]) -> None:
    """Remove the files of other releases from the folder; who has one open keeps it."""
    for file in (found.folder / "serving").glob("recs-*.duckdb"):
        if file.stem.removeprefix("recs-") not in stay:
            file.unlink(missing_ok=True)


def _stays(name: str, stored: set[str], whole: set[str]) -> bool:
    release = _release_of(name)
    if release not in stored or name.startswith("serving/"):
        return release in stored
    from warehouse.runs.lifecycle import REMAINS  # which loads locks: readers need none

    return release in whole or name.split("/")[2] in REMAINS


def _release_of(name: str) -> str:
    """The release that an object belongs to: serving/recs-ID.duckdb or runs/ID/..."""
    part = name.split("/")[1]
    return part.removeprefix("recs-").removesuffix(".duckdb")


def _file_of(chain: list[Json], release: str) -> Json:
    """Key, digest and size of the file of a release that was published once."""
    found: Json = next(link["file"] for link in reversed(chain) if link["entry"]["release_id"] == release)
    return found


def _chain(found: Store, head: Json) -> list[Json]:
    """The entries that lead to a head, oldest first, with their names; each is fetched once."""
    chain: list[Json] = []
    name = head.get("entry")
    while name is not None:
        if not (found.folder / name).exists():
            names = found.names(JOURNAL)
            found.get({other: other for other in names if not (found.folder / other).exists()})
        link = json.loads((found.folder / name).read_text())
        chain.append(link | {"name": name})
        name = link["before"]
    return chain[::-1]
