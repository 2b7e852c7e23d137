"""Users in the arms of a layer, by a hash of their ids: nothing is stored, and everybody finds the same.

For each user every arm has a waiting time of exponential distribution, drawn by the hash of its salt and the
user, with the arm's fraction as its rate; the arm that comes first has the user (the logarithmic method of
weighted distributed hash tables, Schindelhauer & Schomaker 2005, https://doi.org/10.1145/1073970.1074008).
Being in no arm is one arm more. So an arm has a user with the probability of its fraction, in whichever order
arms are named, and where all fractions of a layer grow alike, nobody goes from one arm to another.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numba import njit

from models.dataset import Doubles, Ints, Longs
from models.splitmix import GOLDEN, mix, unit

ROUNDING = 1e-9
"""Sum of rounding errors of fractions that are meant to make up 1."""


def arm_numbers(user_ids: Longs, salts: Sequence[str], fractions: Sequence[float], rest: str) -> Ints:
    """(U,) the number of each user's arm, by its salt and fraction; -1 for the users of none.

    ``rest`` is the salt of having no arm. Salts that are all others give assignments that are independent.
    """
    left = 1 - sum(fractions)
    drawn = [*zip(salts, fractions, strict=True), *([(rest, left)] if left > ROUNDING else [])]
    waiting = np.stack([-np.log1p(-uniform(user_ids, salt)) / rate for salt, rate in drawn])
    number = waiting.argmin(axis=0)
    return np.where(number < len(salts), number, -1).astype(np.int32)


def uniform(ids: Longs, salt: str) -> Doubles:
    """(N,) a number of [0, 1) for each id, by the SHA-256 of the salt and SplitMix64."""
    key = np.uint64(int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8]))
    return _uniform(ids, key)


@njit(cache=True)
def _uniform(ids: Longs, key: np.uint64) -> Doubles:
    number = np.empty(len(ids))
    for n in range(len(ids)):
        number[n] = unit(mix(mix(np.uint64(ids[n]) + GOLDEN) ^ key))
    return number
