"""SplitMix64 (Steele, Lea & Flood 2014) for compiled loops: random bits from a counter, no shared state.

state += GOLDEN
bits = mix(state)
"""

import numpy as np
from numba import njit

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""Increment of a stream's state for every number drawn."""


@njit(cache=True, inline="always")
def mix(state: np.uint64) -> np.uint64:
    """64 random bits from a uint64 state."""
    bits = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@njit(cache=True, inline="always")
def below(bits: np.uint64, n: int) -> np.int64:
    """An integer of 0 to n - 1 from the upper 32 bits; the bias is under n / 2^32."""
    return np.int64(((bits >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True, inline="always")
def unit(bits: np.uint64) -> np.float64:
    """A float of [0, 1) from the lower 32 bits, independent of ``below``."""
    return np.float64(bits & np.uint64(0xFFFFFFFF)) * 2.0**-32
