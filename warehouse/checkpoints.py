"""What a training keeps so that it can go on after a kill: ``checkpoints/KEY.npz``.

The key says all that the training depends on, so that what is found under it is always safe to go on from,
whichever run was killed.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def read(home: Path, key: str) -> Arrays | None:
    """The newest checkpoint of a training, or None."""
    file = _file(home, key)
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def write(home: Path, key: str, arrays: Arrays) -> None:
    """Replace the checkpoint of a training in one atomic step."""
    file = _file(home, key)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, file)


def forget(home: Path) -> None:
    """Remove all checkpoints: the training that they were for has ended."""
    for file in (home / "checkpoints").glob("*"):
        file.unlink()


def _file(home: Path, key: str) -> Path:
    return home / "checkpoints" / f"{key}.npz"
