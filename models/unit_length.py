"""Vectors of length 1, whose inner products are cosines."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.dataset import Floats


def of_unit_length(vectors: NDArray[Any]) -> Floats:
    """(N, D) vectors or flags, each divided by its length; a zero vector stays one."""
    length = np.linalg.norm(vectors.astype(np.float32, copy=False), axis=1, keepdims=True)
    unit: Floats = np.divide(vectors, length, out=np.zeros(vectors.shape, np.float32), where=length > 0)
    return unit
