"""Runs: everything one flow run made, in ``runs/ID``, with the manifest written last: no manifest, no run."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from warehouse import store
from warehouse.errors import Damaged, MatineeError

Json = dict[str, Any]

MANIFEST, DESCRIPTION = "manifest.json", "run.json"
"""Files that describe a run: a finished one, and one that began."""

USERS = "users.parquet"
"""A table that every run has until retention strips it."""


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
    exposures: tuple[str, ...] = ()  # names of the files of exposures this run reads
    block_list: tuple[str, ...] = ()  # names of the files of requests this run reads

    @classmethod
    def read(cls, home: Path, run_id: str) -> Self:
        """A finished run as it was described when it began.

        Raises:
            Damaged: there is no finished run of that id, or its manifest cannot be read.
        """
        return cls._described(home, run_id, MANIFEST)

    @classmethod
    def begun(cls, home: Path, run_id: str) -> Self:
        """A run, finished or not, as it was described when it began.

        Raises:
            Damaged: there is none of that id, or its description cannot be read.
        """
        return cls._described(home, run_id, DESCRIPTION)

    @classmethod
    def _described(cls, home: Path, run_id: str, file: str) -> Self:
        path = home / "runs" / run_id / file
        try:
            if not path.exists() and (found := store.of(home)):
                name = f"runs/{run_id}/{file}"
                found.get({name: name})
            return cls._of(home, run_id, json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            raise Damaged(f"{path} is missing or damaged: run `matinee nightly`, then try again") from None

    @classmethod
    def _of(cls, home: Path, run_id: str, facts: Json) -> Self:
        """The run of a description; what is missing there is an error."""
        return cls(
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
            exposures=tuple(facts.get("exposures", ())),
            block_list=tuple(facts.get("block_list", ())),
        )

    def description(self) -> Json:
        """All of it as JSON, but the home."""
        return {
            "id": self.id,
            "kind": self.kind,
            "as_of": self.as_of.isoformat(),
            "parent_id": self.parent_id,
            "created_at": self.created_at.isoformat(),
            "batches": list(self.batches),
            "config": self.config,
            "source": self.source,
            "code_version": self.code_version,
            "journal_length": self.journal_length,
            "exposures": list(self.exposures),
            "block_list": list(self.block_list),
        }

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return self.home / "runs" / self.id

    def file(self, name: str) -> Path:
        """The path of one of its files."""
        return self.folder / name

    def manifest(self) -> Json:
        """The facts that ``lifecycle.finish`` wrote.

        Raises:
            FileNotFoundError: the run is not finished.
        """
        facts: Json = json.loads(self.file(MANIFEST).read_text("utf-8"))
        return facts

    def parent(self) -> Self:
        """The finished run that it goes on from.

        Raises:
            MatineeError: it goes on from none.
            Damaged: that one is gone, or cannot be read.
        """
        if self.parent_id is None:
            raise MatineeError(f"run {self.id} goes on from no other")
        return self.read(self.home, self.parent_id)


def new_run_id(now: datetime) -> str:
    """A release id that sorts by time of creation, e.g. 20261122-024500-913377."""
    return f"{now:%Y%m%d-%H%M%S-%f}"


def utc_now() -> datetime:
    """The wall clock in UTC, naive: how all times are stored."""
    return datetime.now(UTC).replace(tzinfo=None)


def is_whole(home: Path, run_id: str) -> bool:
    """True if a finished run is here, or on the store, with all that another one goes on from."""
    names = [f"runs/{run_id}/{file}" for file in (MANIFEST, USERS)]
    found = store.of(home)
    return all((home / name).exists() for name in names) or (found is not None and found.has(*names))


def check_whole(run: Run) -> None:
    """Refuse to go on from a run of which retention has left little.

    Raises:
        MatineeError: it is such a run.
    """
    if not is_whole(run.home, run.id):
        raise MatineeError(f"of release {run.id} only its tables are kept: run `matinee nightly` first")


def without_operation(config: Json) -> Json:
    """The settings that lists follow: not how they are computed, checked and kept."""
    return {name: part for name, part in config.items() if name not in ("engine", "releases", "gate")}
