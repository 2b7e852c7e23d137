"""Whether the files of a finished run are those that it wrote."""

from pathlib import Path

from warehouse import checksum
from warehouse.errors import Damaged
from warehouse.runs.run import Run

PASSING = ("holdout", "log_capped")
"""Folders of a run that are removed once it is published."""

REMADE = ("log", "log_orders")
"""Folders of a run that a store need not have: they are made again from the event files."""


def checksums(run: Run) -> dict[str, str]:
    """The checksums of all files that stay of a run, by their paths in its folder."""
    files = (file for file in sorted(run.folder.rglob("*")) if file.is_file())
    names = ((str(file.relative_to(run.folder)), file) for file in files)
    return {name: checksum.of(file) for name, file in names if _stays(Path(name))}


def check(run: Run) -> None:
    """Compare the files of a whole run with their checksums; one by an earlier version is believed.

    Raises:
        Damaged: one of them is missing, or is not what was written.
    """
    if problem := damage(run):
        raise Damaged(
            f"{run.folder} is damaged ({problem}): run `matinee nightly`, which trains from scratch"
        )


def damage(run: Run) -> str | None:
    """The first file of a whole run that is missing or not what was written; None if all are."""
    for name, expected in run.manifest().get("checksums", {}).items():
        file = run.file(name)
        if not file.exists():
            if Path(name).parts[0] not in REMADE:
                return f"{name} is missing"
        elif checksum.of(file) != expected:
            return f"{name} is not what was written"
    return None


def _stays(name: Path) -> bool:
    return name.parts[0] not in PASSING and not any(part.startswith(".") for part in name.parts)
