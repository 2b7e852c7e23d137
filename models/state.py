"""Learned state is arrays alone: texts in it are bytes, its parts have names of one prefix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

State = dict[str, NDArray[Any]]
"""Learned state: named arrays, so that it becomes tables and .npz files, never pickles."""


def pack_text(text: str) -> NDArray[np.uint8]:
    """(N,) the bytes of a text in UTF-8."""
    return np.frombuffer(text.encode(), dtype=np.uint8)


def unpack_text(array: NDArray[Any]) -> str:
    """The text that became this array."""
    return array.tobytes().decode()


def named(state: State, prefix: str) -> State:
    """The arrays whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
