"""Named arrays in ``.npz`` files, without pickles."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warehouse.atomic import replacing

Arrays = dict[str, NDArray[Any]]
"""Arrays by name."""


def load(file: Path) -> Arrays:
    """The arrays of a file."""
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def save(file: Path, arrays: Arrays) -> None:
    """Write arrays uncompressed, such as the state of a model."""
    # numpy adds .npz to the name of a file, but not to a stream.
    with replacing(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
