"""Learned state is arrays alone: texts in it are bytes, its parts have names of one prefix."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

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


def moved(rows: NDArray[Any], position: NDArray[Any], n: int, fill: float = 0) -> NDArray[Any]:
    """(n, ...) with row r of ``rows`` at its position, left out where that is -1; ``fill`` elsewhere."""
    found = np.full((n, *rows.shape[1:]), fill, dtype=rows.dtype)
    found[position[position >= 0]] = rows[position >= 0]
    return found


class Derived(Generic[T]):
    """Something made from a state, an index for example: made again only when there is another state."""

    def __init__(self) -> None:
        self._made: tuple[State, T] | None = None

    def of(self, state: State, make: Callable[[], T]) -> T:
        """The result of ``make`` for this state, whose arrays never change."""
        if self._made is None or self._made[0] is not state:
            self._made = state, make()
        return self._made[1]
