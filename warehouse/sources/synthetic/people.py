"""The users: who they are, and when they come."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from warehouse.sources.synthetic import Longs
from warehouse.sources.synthetic.shape import Shape

GENDERS = {"F": 0.283, "M": 0.717}
AGES = {1: 0.037, 18: 0.183, 25: 0.347, 35: 0.197, 45: 0.091, 50: 0.082, 56: 0.063}
"""Fraction of the users of each gender and age."""

OCCUPATIONS = 21
ZIP_CODES = 100_000


@dataclass(frozen=True)
class People:
    """The U users of a chunk."""

    user_id: Longs  # (U,)
    gender: Longs  # (U,) number in GENDERS
    age: Longs  # (U,) number in AGES
    occupation: Longs  # (U,)
    zip: Longs  # (U,)
    arrival: Longs  # (U,) epoch seconds

    def table(self) -> pl.DataFrame:
        """The people as rows of ``users``."""
        return pl.DataFrame(
            {
                "user_id": self.user_id,
                "gender": np.array(list(GENDERS))[self.gender],
                "age": np.array(list(AGES), dtype=np.int32)[self.age],
                "occupation": self.occupation.astype(np.int32),
                "zip": np.char.zfill(self.zip.astype(str), 5),
            }
        )


def make_people(users: Longs, n_users: int, shape: Shape, rng: np.random.Generator) -> People:
    """The users of a chunk, ``users`` (numbers from 0), among all ``n_users``."""
    n = len(users)
    came = np.concatenate([[0], np.cumsum(list(shape.arrivals.values()))])
    chance = rng.random(n)
    order = 1 - (users + chance) / n_users if shape.newest_first else chance
    return People(
        user_id=users + 1,
        gender=_choose(GENDERS, n, rng),
        age=_choose(AGES, n, rng),
        occupation=rng.integers(0, OCCUPATIONS, n),
        zip=rng.integers(0, ZIP_CODES, n),
        arrival=np.interp(order * came[-1], came, [*shape.arrivals, shape.last_arrival]).astype(np.int64),
    )


def _choose(fractions: dict[str, float] | dict[int, float], n: int, rng: np.random.Generator) -> Longs:
    return rng.choice(len(fractions), size=n, p=list(fractions.values()))
