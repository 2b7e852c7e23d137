"""Training checkpoints, ``checkpoints/KEY.npz``, from which a killed training goes on.

The key says all that the training depends on, so that what is found under it is always safe to go on from,
whichever run was killed.
"""

import time
from contextlib import suppress
from pathlib import Path

from warehouse import arrays as npz
from warehouse.arrays import Arrays

MAX_AGE = 7 * 86_400
"""Seconds without a new epoch after which nobody will go on from a checkpoint."""


def read(home: Path, key: str) -> Arrays | None:
    """The newest checkpoint of a training, or None."""
    file = _file(home, key)
    return npz.load(file) if file.exists() else None


def write(home: Path, key: str, arrays: Arrays) -> None:
    """Replace the checkpoint of a training."""
    npz.save(_file(home, key), arrays)


def forget(home: Path, key: str) -> None:
    """Remove the checkpoint of a training that has ended, and what others left that were killed long ago."""
    _file(home, key).unlink(missing_ok=True)
    for file in (home / "checkpoints").glob("*"):
        with suppress(FileNotFoundError):  # another training has just moved or removed it
            if time.time() - file.stat().st_mtime > MAX_AGE:
                file.unlink()


def _file(home: Path, key: str) -> Path:
    return home / "checkpoints" / f"{key}.npz"
