"""What a training keeps so that it can go on after a kill: ``checkpoints/KEY.npz``.

The key says all that the training depends on, so that what is found under it is always safe to go on from,
whichever run was killed.
"""

import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from warehouse.atomic import Staging
from warehouse.runs.snapshot import Arrays, load_arrays

LEFT_BEHIND = 7 * 86_400
"""Seconds without a new epoch after which nobody will go on from a checkpoint."""


def read(home: Path, key: str) -> Arrays | None:
    """The newest checkpoint of a training, or None."""
    file = _file(home, key)
    return load_arrays(file) if file.exists() else None


def write(home: Path, key: str, arrays: Arrays) -> None:
    """Replace the checkpoint of a training in one atomic step."""
    with Staging() as staging:
        with staging.path(_file(home, key)).open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        staging.commit()


def forget(home: Path, key: str) -> None:
    """Remove the checkpoint of a training that has ended, and what others left that were killed long ago."""
    _file(home, key).unlink(missing_ok=True)
    for file in (home / "checkpoints").glob("*"):
        with suppress(FileNotFoundError):  # another training has just moved or removed it
            if time.time() - file.stat().st_mtime > LEFT_BEHIND:
                file.unlink()


def _file(home: Path, key: str) -> Path:
    return home / "checkpoints" / f"{key}.npz"
