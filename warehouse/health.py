"""The state of a home: what is there, what is damaged or left over, and what can be repaired.

A repair deletes nothing that was committed: what it takes out is set aside, in ``set-aside/`` of the home.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Literal

import duckdb
from filelock import FileLock

from warehouse import atomic, sql, store
from warehouse.errors import Damaged, MatineeError
from warehouse.events import behaviour, catalog, log, shared
from warehouse.events import soundness as of_log
from warehouse.events.batch_log import facts_of
from warehouse.releases import journal, retention, serving
from warehouse.releases import soundness as of_releases
from warehouse.releases.lock import locked
from warehouse.releases.rollback import recover, roll_back
from warehouse.runs import lifecycle, run
from warehouse.runs import soundness as of_runs

SET_ASIDE = "set-aside"
"""Folder of a home for what a repair takes out."""

FORGOTTEN = 86_400
"""Seconds after which nobody is writing a temporary file any more."""

IN_SERVING = ("recs-*.duckdb", "held-*.duckdb", "held-*.json", "current.duckdb", "journal.jsonl", ".*")
"""Names of files that belong into ``serving/``."""


IN_OTHER_PARTS = ("catalog", "quarantine", "behaviour")
"""Folders of the log that are looked at apart from it."""

Fault = Literal["damaged", "left over", "short"]
"""The kind of a finding: it cannot be used, nobody uses it, or there is too little of it."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be."""

    path: Path
    state: Fault
    problem: str
    remedy: str
    repair: Callable[[], str] | None = None
    """Makes it good, and says what it did."""

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}: {self.remedy}"


@dataclass(frozen=True)
class Part:
    """A part of a home: what is there, and what is not as it should be."""

    name: str
    summary: str
    findings: list[Finding]


def examine(home: Path) -> list[Part]:
    """Look at all parts of a home; every byte of what is there is read once.

    Raises:
        MatineeError: there is no home, or its store cannot be used.
    """
    if not home.exists():
        raise MatineeError(f"there is no {store.name(home)}: set MATINEE_HOME, or run `matinee nightly`")
    shared.pull(home)
    return [look(home) for look in _PARTS]


def repair(home: Path) -> list[str]:
    """Repair what can be; each attempt is a line. Looks again after each: one may be the end of others."""
    lines: list[str] = []
    tried: set[tuple[Path, str]] = set()
    while finding := next(_untried(home, tried), None):
        tried.add((finding.path, finding.remedy))
        assert finding.repair is not None
        try:
            lines.append(f"repaired {finding.path}: {finding.repair()}")
        except MatineeError as error:
            lines.append(f"not repaired: {error}")
    return lines


def _untried(home: Path, tried: set[tuple[Path, str]]) -> Iterator[Finding]:
    for part in examine(home):
        for finding in part.findings:
            if finding.repair is not None and (finding.path, finding.remedy) not in tried:
                yield finding


def _log(home: Path) -> Part:
    files = [file for file in of_log.files(home) if file.parent.name not in IN_OTHER_PARTS]
    return Part("log", f"{len(files)} files", _damaged(files))


def _behaviour(home: Path) -> Part:
    """The log of behaviour, and whether each batch of ratings still has its file of it."""
    files, batches = behaviour.BEHAVIOUR.files(home), log.event_files(home)
    orphaned = behaviour.orphaned(home, tuple(path.name for path in batches))
    findings = _damaged([file for file in files if file not in orphaned])
    for file in orphaned:
        remedy = "the next ingest removes it; `matinee doctor --repair` sets it aside"
        aside = partial(_set_aside, home, file)
        findings.append(Finding(file, "left over", "no batch of ratings is of its source", remedy, aside))
    whole = [path for path in batches if not of_log.damage(path)]
    for file in behaviour.bereft(home, whole):
        problem, remedy = "its source tells of behaviour, which is gone", "ingest its source again"
        findings.append(Finding(file, "damaged", problem, remedy))
    return Part("behaviour", f"{len(files)} files", findings)


def _catalog(home: Path) -> Part:
    findings = _damaged(sorted((home / "catalog").glob("[!.]*.parquet")), partial(_restore_catalog, home))
    summary = "empty"
    if log.event_files(home):
        try:
            summary = catalog.dataset_name(home)
        except Damaged:
            file, remedy = home / "catalog" / catalog.DATASET, "`matinee doctor --repair` writes it anew"
            restore = partial(_restore_name, home)
            findings.append(Finding(file, "damaged", "it cannot be read", remedy, restore))
    return Part("catalogue", summary, findings)


def _quarantine(home: Path) -> Part:
    files = sorted((home / "quarantine").glob("[!.]*.parquet"))
    return Part("quarantine", f"{len(files)} files", _damaged(files, partial(_set_aside, home)))


def _damaged(files: list[Path], repair: Callable[[Path], str] | None = None) -> list[Finding]:
    """The damaged ones of some files of the log, and what repairs one."""
    return [
        Finding(file, "damaged", problem, of_log.REMEDIES[file.parent.name], repair and partial(repair, file))
        for file in files
        if (problem := of_log.damage(file))
    ]


def _journal(home: Path) -> Part:
    file = journal.file_of(home)
    try:
        return Part("journal", f"{len(journal.entries(home))} entries", [])
    except Damaged:
        problem, remedy = "a line is no entry", "`matinee doctor --repair` writes it anew"
        found = Finding(file, "damaged", problem, remedy, partial(_restore_journal, home))
        return Part("journal", f"{len(journal.readable(home))} entries", [found])


def _link(home: Path) -> Part:
    """The published release: the link, or on a store the file that was fetched."""
    try:
        release = serving.current_release(home)
        if release is not None and (problem := of_releases.damage(home, release)):
            return Part("published", release, [_damaged_release(home, release, problem)])
        last = journal.entries(home)[-1:] if store.of(home) is None else []
    except Damaged as error:  # of the journal, which comes first, or of the link
        is_link = serving.link_of(home).is_symlink()
        return Part("published", "unknown", [] if is_link else [_broken_link(home, "damaged", str(error))])
    if last and last[0]["release_id"] != release:
        problem = f"the journal says that {last[0]['release_id']} is published"
        state: Fault = "damaged" if release is None else "left over"
        return Part("published", release or "nothing", [_broken_link(home, state, problem)])
    return Part("published", release or "nothing", [])


def _damaged_release(home: Path, release: str, problem: str) -> Finding:
    file = serving.file_of(home, release)
    if store.of(home) is not None:
        remedy = "`matinee doctor --repair` removes it, to be fetched again"
        return Finding(file, "damaged", problem, remedy, partial(_remove, file))
    remedy = "`matinee doctor --repair` goes back to the newest whole release"
    return Finding(file, "damaged", problem, remedy, lambda: recover(home) or _restore_link(home))


def _broken_link(home: Path, state: Fault, problem: str) -> Finding:
    remedy = "`matinee doctor --repair` makes it lead to the newest whole release"
    return Finding(serving.link_of(home), state, problem, remedy, partial(_restore_link, home))


def _releases(home: Path) -> Part:
    folder = home / "serving"
    stored = serving.kept_releases(home)
    try:
        published = {row["release_id"] for row in journal.publications(home)}
        current = serving.current_release(home)
        held = journal.held(home)
    except Damaged as error:
        return Part("releases", f"{len(stored)} kept", _broken_rows(home, str(error)))
    findings = []
    for release in stored:
        file = serving.file_of(home, release)
        aside = None if release == current else partial(_set_aside, home, file)
        if release not in published:
            remedy = "it was never published: `matinee doctor --repair` sets it aside"
            findings.append(Finding(file, "left over", "no entry of the journal names it", remedy, aside))
        elif release != current and (problem := of_releases.damage(home, release)):
            findings.append(
                Finding(file, "damaged", problem, "`matinee doctor --repair` sets it aside", aside)
            )
    for file in sorted(folder.glob("*")):
        if not any(file.match(pattern) for pattern in IN_SERVING):
            remedy = "nothing reads it: `matinee doctor --repair` sets it aside"
            aside = partial(_set_aside, home, file)
            findings.append(Finding(file, "left over", "it is none of ours", remedy, aside))
    return Part("releases", f"{len(stored)} kept, {len(held)} held", findings)


def _broken_rows(home: Path, problem: str) -> list[Finding]:
    """The descriptions of held releases that cannot be read."""
    findings = []
    for file in (serving.held_row(home, release) for release in serving.held_releases(home)):
        if journal.read_held(file) is None:
            remedy = "`matinee doctor --repair` sets it aside"
            findings.append(Finding(file, "damaged", problem, remedy, partial(_set_aside, home, file)))
    return findings


def _runs(home: Path) -> Part:
    """Runs that are whole, and what killed ones left that nobody goes on with."""
    findings, whole, reduced = [], 0, 0
    try:
        left = {found.id for found in retention.unfinished(home)}
    except Damaged:  # the journal, which comes first
        return Part("runs", "unknown", [])
    for folder in sorted((home / "runs").glob("[!.]*")):
        aside = partial(_set_aside, home, folder)
        if folder.name in left or lifecycle.is_alive(folder):
            continue
        try:
            found = run.Run.read(home, folder.name)
        except Damaged:
            is_begun = not (folder / run.MANIFEST).exists()
            state: Fault = "left over" if is_begun else "damaged"
            problem = "a run that did not end" if is_begun else f"{run.MANIFEST} cannot be read"
            remedy = "`matinee doctor --repair` sets it aside"
            findings.append(Finding(folder, state, problem, remedy, aside))
            continue
        if not run.is_whole(home, folder.name):
            reduced += 1
        elif problem_of := of_runs.damage(found):
            remedy = "the next nightly trains from scratch; `matinee doctor --repair` sets it aside"
            findings.append(Finding(folder, "damaged", problem_of, remedy, aside))
        else:
            whole += 1
    return Part("runs", f"{whole} whole, {reduced} reduced, {len(left)} to go on with", findings)


def _leftovers(home: Path) -> Part:
    """Temporary files of writers that were killed."""
    old = [file for file in home.glob("*/.*.tmp*") if time.time() - file.stat().st_mtime > FORGOTTEN]
    remedy = "`matinee doctor --repair` removes it"
    return Part(
        "temporary files",
        f"{len(old)}",
        [Finding(file, "left over", "its writer was killed", remedy, partial(_remove, file)) for file in old],
    )


def _disk(home: Path) -> Part:
    """Whether another release and its run would find space."""
    free = shutil.disk_usage(home).free
    stored = serving.kept_releases(home)
    needed = 2 * max((_size(serving.file_of(home, release)) for release in stored), default=0)
    needed += max((_size(folder) for folder in (home / "runs").glob("[!.]*")), default=0)
    findings = []
    if free < needed:
        remedy = "free some space, or keep fewer releases (MATINEE_KEEP_RELEASES)"
        problem = f"{free / 1e6:,.0f} MB are free, and a night takes about {needed / 1e6:,.0f} MB"
        findings.append(Finding(home, "short", problem, remedy))
    return Part("disk", f"{free / 1e9:,.1f} GB free", findings)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _set_aside(home: Path, path: Path) -> str:
    target = home / SET_ASIDE / f"{time.time_ns()}-{path.name}"
    target.parent.mkdir(exist_ok=True)
    path.rename(target)
    return f"set aside as {target.relative_to(home)}"


def _remove(path: Path) -> str:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return "removed"


def _restore_catalog(home: Path, file: Path) -> str:
    """Take the films, or the users, of the newest whole release; later ones come back with their file."""
    table = file.stem
    release = _newest_whole(home)
    if release is None:
        raise MatineeError(f"{file}: no release is whole to take it from: put a copy of it back")
    with FileLock(home / shared.LOCK):
        with duckdb.connect(str(serving.file_of(home, release)), read_only=True) as con:
            frame = con.table(table).pl()
        aside = _set_aside(home, file)
        catalog.restore(home, table, frame)
    return f"made anew from release {release}; {aside}"


def _restore_name(home: Path) -> str:
    """Take the name of the data set from the footer of the first batch."""
    facts = facts_of(log.event_files(home)[0])
    if "dataset" not in facts:
        raise MatineeError(
            f"{home / 'catalog' / catalog.DATASET}: the log is of an earlier version, which does not say "
            'what it is of: write {"name": "ml-1m", "layout": "dat"}, or what is right, into it'
        )
    with FileLock(home / shared.LOCK):
        named = {"name": facts["dataset"], "layout": facts["layout"], "source": facts["source"]}
        atomic.write_text(home / "catalog" / catalog.DATASET, json.dumps(named))
    return f"written anew: {facts['dataset']}"


def _restore_journal(home: Path) -> str:
    """Keep the lines that can be read; what they lack is added from the newest release that can be opened."""
    with locked(home):
        entries = journal.readable(home)
        named = {entry["release_id"] for entry in entries if entry["action"] == "publish"}
        stored = serving.kept_releases(home)[::-1]
        rows = next((rows for release in stored if (rows := _publications(home, release))), [])
        missing = [{"action": "publish", **row} for row in rows if row["release_id"] not in named]
        entries = sorted([*entries, *missing], key=_moment)
        for before, entry in pairwise([{"release_id": None}, *entries]):
            if entry["action"] == "publish":
                entry.setdefault("previous", before["release_id"])
        aside = _set_aside(home, journal.file_of(home))
        atomic.write_text(
            journal.file_of(home), "".join(f"{json.dumps(entry, default=str)}\n" for entry in entries)
        )
    return f"written anew, {len(missing)} of {len(entries)} entries from a release; {aside}"


def _moment(entry: run.Json) -> str:
    """When an entry of the journal was made, or nearly."""
    return str(entry.get("created_at") or entry.get("at")).replace("T", " ")


def _publications(home: Path, release: str) -> list[run.Json]:
    """The rows of ``releases`` in a release, as the journal has them; none if it cannot be opened."""
    try:
        with duckdb.connect(str(serving.file_of(home, release)), read_only=True) as con:
            found = con.execute(sql.load("queries/releases"))
            columns = [column[0] for column in found.description or []]
            return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error:
        return []


def _restore_link(home: Path) -> str:
    """Make the link lead to the newest whole release; to another one than the journal says by a rollback."""
    release, link = _newest_whole(home), serving.link_of(home)
    if release is None:
        raise MatineeError(f"{link}: no release is whole: run `matinee nightly`")
    aside = "" if link.is_symlink() or not link.exists() else f"; {_set_aside(home, link)}"
    if journal.entries(home)[-1]["release_id"] == release:
        with locked(home):
            serving.make_current(home, release)
    else:
        roll_back(home, release)
    return f"leads to release {release}{aside}"


def _newest_whole(home: Path) -> str | None:
    """The newest published release that is kept and whole; that of the last entry comes first."""
    entries = journal.entries(home)
    last = [entry["release_id"] for entry in entries[-1:]]
    published = [entry["release_id"] for entry in entries if entry["action"] == "publish"][::-1]
    stored = set(serving.kept_releases(home))
    candidates = (release for release in (*last, *published) if release in stored)
    return next((release for release in candidates if of_releases.damage(home, release) is None), None)


_PARTS = (_log, _behaviour, _catalog, _quarantine, _journal, _link, _releases, _runs, _leftovers, _disk)
