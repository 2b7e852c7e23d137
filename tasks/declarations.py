"""Declared features: the packaged file or one of the configuration; a run keeps what it went by."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from models.features.declare import Declaration, declarations
from warehouse import atomic
from warehouse.errors import MatineeError
from warehouse.runs import feature_tables
from warehouse.runs.run import Run

FILE = "features.toml"

FeaturesFile = dict[str, list[dict[str, Any]]]
"""Content of a file of declarations: its blocks by whose feature it is."""


def check(path: Path | None, optional: Sequence[str] = ()) -> None:
    """Refuse a file of declarations, or names of optional features, now, not in the middle of a flow.

    Raises:
        MatineeError: it cannot be read, a declaration makes no sense, or one is missing that is needed.
    """
    _parsed(_text(path), path, optional)


def of(path: Path | None, optional: Sequence[str] = ()) -> tuple[Declaration, ...]:
    """The features that models read, of a file or the packaged one; of optional ones those that are named.

    Raises:
        MatineeError: as ``check``.
    """
    return declarations(_parsed(_text(path), path, optional), optional)


def blocks(path: Path | None) -> FeaturesFile:
    """All declarations of a file or the packaged one.

    Raises:
        MatineeError: as ``check``.
    """
    return _parsed(_text(path), path)


def write(run: Run, path: Path | None) -> FeaturesFile:
    """The declarations that a run goes by, its parent's for an incremental one; a copy stays with the run."""
    text = run.parent().file(FILE).read_text() if run.kind == "incremental" else _text(path)
    atomic.write_text(run.file(FILE), text)
    return _parsed(text, path)


def read(run: Run) -> tuple[Declaration, ...]:
    """Those that models read, as the run has them."""
    optional = run.config.get("optional_features", ())
    return declarations(_parsed(run.file(FILE).read_text(), None, optional), optional)


def _text(path: Path | None) -> str:
    try:
        return (resources("tasks") / FILE).read_text() if path is None else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise MatineeError(f"features: {path} cannot be read ({error})") from None


def _parsed(text: str, path: Path | None, optional: Sequence[str] = ()) -> FeaturesFile:
    name = path or FILE
    try:
        declared = tomllib.loads(text)
        declarations(declared, optional)
        feature_tables.check(declared)
    except tomllib.TOMLDecodeError as error:
        raise MatineeError(f"features: {name} is no TOML: {error}") from None
    except ValueError as error:
        raise MatineeError(f"features: {name}: {error}") from None
    return declared
