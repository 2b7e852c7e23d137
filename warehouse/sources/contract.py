"""The contract of sources of ratings."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import polars as pl

Layout = Literal["dat", "csv", "tab"]
"""``::`` as in MovieLens 1M and 10M, CSV as since 20M, tabs as in 100K."""


@dataclass(frozen=True)
class Digests:
    """Hexadecimal sha256 of each file; empty where the source has none."""

    ratings: str
    movies: str = ""
    users: str = ""


class Source(Protocol):
    """A batch of ratings, perhaps with a catalogue."""

    @property
    def text(self) -> str:
        """The source's name as the person wrote it."""

    @property
    def dataset(self) -> str:
        """Name of the data set, for people."""

    @property
    def layout(self) -> Layout:
        """The kind of its files."""

    @property
    def ratings_file(self) -> str:
        """Name of the file that line numbers refer to."""

    @property
    def is_generated(self) -> bool:
        """True for made-up ratings."""

    @property
    def has_behaviour(self) -> bool:
        """True if its rows tell what people did beside rating (see ``behaviour.read_rows``)."""

    @property
    def digests(self) -> Digests:
        """Digests of the files: two sources with the same ones are the same batch."""

    @property
    def promised_rows(self) -> int | None:
        """Rows that the ratings file must have, None if nobody says so."""

    def items(self) -> pl.DataFrame | None:
        """item_id, title, year, genres, perhaps some of ``behaviour.CONTENT``; None without a movies file."""

    def users(self) -> pl.DataFrame | None:
        """user_id, gender, age, occupation, zip; None without a users file."""

    def ratings(self) -> Iterator[pl.DataFrame]:
        """Blocks of line, raw, user_id, item_id, rating, timestamp (see ``movielens.read_ratings``), and the
        columns of behaviour where there are any."""
