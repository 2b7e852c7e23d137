"""A whole made-up data set: its films, users and ratings, at any scale."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from warehouse.errors import MatineeError
from warehouse.sources.synthetic import VERSION, Longs
from warehouse.sources.synthetic.behaviour import film_lengths, make_behaviour
from warehouse.sources.synthetic.people import People, make_people
from warehouse.sources.synthetic.shape import LARGE, MOVIELENS_1M, Shape
from warehouse.sources.synthetic.world import World, make_world

USERS, ITEMS = 6040, 3883
"""Numbers at scale 1. Users grow with the scale, films with its square root unless their number is given."""

MIN_ITEMS, MAX_ITEMS = 200, 1_000_000
MAX_SCALE = 1000.0

RATING = ["user_id", "item_id", "rating", "timestamp"]
"""Columns of ratings.dat."""

CHUNK = 4096
"""Users generated at once: about 700,000 ratings."""


@dataclass(frozen=True)
class Synthetic:
    """A data set of ``scale`` times the users of MovieLens 1M, in its shape; with ``films`` as MovieLens 32M.

    Raises:
        MatineeError: the scale is not above 0, or absurdly large; too few films, or absurdly many.
    """

    scale: float = 1.0
    seed: int = 0
    films: int | None = None
    watch: bool = False
    """Whether people are seen to watch, like, collect and share, and to pass films over."""

    def __post_init__(self) -> None:
        if not 0 < self.scale <= MAX_SCALE:
            raise MatineeError(f"the scale of synthetic data is a number above 0, at most {MAX_SCALE:g}")
        if self.films is not None and not MIN_ITEMS <= self.films <= MAX_ITEMS:
            raise MatineeError(
                f"the number of films of synthetic data is an integer from {MIN_ITEMS} to {MAX_ITEMS:,}"
            )

    @property
    def name(self) -> str:
        """``synthetic:SCALE``, perhaps with ``:FILMS`` and ``,watch``."""
        films = "" if self.films is None else f":{self.films}"
        return f"synthetic:{self.scale:g}{films}{',watch' * self.watch}"

    @property
    def recipe(self) -> str:
        """All that decides the bytes."""
        films = "" if self.films is None else f", films={self.films}"
        return f"{VERSION} Synthetic(scale={self.scale}, seed={self.seed}{films}{', watch' * self.watch})"

    @property
    def shape(self) -> Shape:
        """The kind of data set."""
        return MOVIELENS_1M if self.films is None else LARGE

    @property
    def n_users(self) -> int:
        """Users, at least one."""
        return max(1, round(USERS * self.scale))

    @property
    def n_items(self) -> int:
        """Films; some are so obscure that nobody rates them."""
        return self.films or max(MIN_ITEMS, round(ITEMS * math.sqrt(self.scale)))

    def items(self) -> pl.DataFrame:
        """item_id, title, year, genres of all films; of those that people are seen to watch, the length."""
        items = self._world.items
        return items.with_columns(duration_seconds=film_lengths(self.n_items)) if self.watch else items

    def users(self) -> pl.DataFrame:
        """user_id, gender, age, occupation, zip of all users."""
        return pl.concat(self._people(chunk).table() for chunk in self._chunks())

    def ratings(self) -> Iterator[pl.DataFrame]:
        """user_id, item_id, rating, timestamp (epoch seconds), by user and time, a chunk of users a frame.

        With ``watch`` the columns of ``behaviour.make_behaviour`` beside, and films that were passed over;
        the ratings themselves are the same.
        """
        # Only here: the compiler that it imports takes half a second to load.
        from warehouse.sources.synthetic.ratings import make_ratings

        for number, chunk in enumerate(self._chunks()):
            rng = np.random.default_rng([self.seed, 2, number])
            people = self._people(chunk)
            ratings, match = make_ratings(self._world, people, self.shape.end, rng)
            if self.watch:
                rng = np.random.default_rng([self.seed, 3, number])
                ratings = make_behaviour(ratings, match, self.n_items, rng)
            yield ratings

    def write(self, folder: Path) -> None:
        """Write ratings.dat, movies.dat and users.dat as MovieLens 1M has them."""
        folder.mkdir(parents=True, exist_ok=True)
        movies = self.items().select("item_id", "title", pl.col("genres").list.join("|"))
        _write(folder / "movies.dat", [movies])
        _write(folder / "users.dat", [self.users()])
        _write(folder / "ratings.dat", (chunk.select(RATING) for chunk in self.ratings()))

    @cached_property
    def _world(self) -> World:
        return make_world(self.n_items, self.shape, np.random.default_rng([self.seed, 0]))

    def _chunks(self) -> Iterator[Longs]:
        """Numbers of the users (from 0) of each chunk."""
        for first in range(0, self.n_users, CHUNK):
            yield np.arange(first, min(first + CHUNK, self.n_users))

    def _people(self, users: Longs) -> People:
        rng = np.random.default_rng([self.seed, 1, users[0]])
        return make_people(users, self.n_users, self.shape, rng)


def as_lines(rows: pl.DataFrame) -> pl.Series:
    """Each row as a line of a ``::`` file."""
    whole = rows.with_columns(pl.col(pl.Float32).cast(pl.Int64))
    return whole.select(pl.concat_str(pl.all(), separator="::")).to_series()


def _write(path: Path, parts: Iterable[pl.DataFrame]) -> None:
    with path.open("w", encoding="latin-1") as file:
        for part in parts:
            file.write(as_lines(part).str.join("\n").item() + "\n")
