"""Popularity where the user lives: same-city recall.

An area is a prefix of the zip code, or of the geohash of its coordinates. Popularity among the users of an
area is smoothed towards that of the wider area which holds it, and that of the widest towards everybody's
(``demographics.back_off``), so that an area of few users resembles the one around it. A user of an area
without users in the log gets the list of the narrowest that has some.
"""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from scipy.sparse import csr_array, vstack

from models.areas import GEOHASH_LENGTH, ZIP_DIGITS, geohashes, prefixes
from models.bounds import Positive
from models.candidates import Candidates
from models.config import Config
from models.dataset import DAY, Dataset, Doubles, Ints, Longs, Queries
from models.recall.contract import Tables
from models.recall.demographics import back_off, user_codes
from models.recall.in_order import recommend_in_order
from models.sparse_product import sparse_from_state, sparse_state
from models.state import State

AREAS = 64
"""Areas whose scores of all items are made at once."""


class RegionConfig(Config):
    """The areas, how fast popularity fades and how much evidence an area needs."""

    areas: Literal["zip", "geohash"] = "zip"
    """Areas by the leading digits of zip codes, or by the leading characters of their geohashes (US)."""
    prefixes: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (1, 3)
    """Digits or characters of the areas, the widest areas first."""
    half_life: PositiveFloat = 180.0
    """Days after which a rating counts half."""
    smoothing: Positive = 10_000.0
    """Ratings that the popularity of the wider area counts for in an area."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        longest = ZIP_DIGITS if self.areas == "zip" else GEOHASH_LENGTH
        if list(self.prefixes) != sorted({*self.prefixes}) or self.prefixes[-1] > longest:
            raise ValueError(f"prefixes of {self.areas} ascend up to {longest}, not {list(self.prefixes)}")
        return self


class Region:
    """Popularity by area.

    State: ``width`` (A,) and ``area`` (A,), the length and the value of the prefix of each area, ascending;
    sparse rows of the decayed ratings of each area, ``count_*`` (A, I); ``popularity`` (I,), everybody's.
    """

    def __init__(self, config: RegionConfig = RegionConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        weight = np.exp2((dataset.at - dataset.as_of) / (self.config.half_life * DAY))
        everyone = np.bincount(dataset.item_idx, weight, dataset.n_items)
        areas, widths, counts = [], [], []
        for width, area in self._areas(dataset):
            names, rows = np.unique(area, return_inverse=True)
            row = rows[dataset.user_idx]
            shape = len(names), dataset.n_items
            # The area -1 is that of users of whom nothing is known.
            counts.append(csr_array((weight, (row, dataset.item_idx)), shape=shape)[names >= 0])
            areas.append(names[names >= 0])
            widths.append(np.full(len(areas[-1]), width))
        self.state = {
            "area": np.concatenate(areas).astype(np.int32),
            "width": np.concatenate(widths).astype(np.int32),
            "popularity": everyone / max(float(everyone.sum()), 1.0),
            **sparse_state("count", csr_array(vstack(counts))),
        }
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        areas, number = np.unique(self._rows(queries), axis=0, return_inverse=True)
        items = np.full((len(queries), n), -1, dtype=np.int32)
        scores = np.full((len(queries), n), -np.inf, dtype=np.float32)
        for begin in range(0, len(areas), AREAS):
            chosen = np.flatnonzero((number >= begin) & (number < begin + AREAS))
            chance = self._scores(areas[begin : begin + AREAS])
            score = np.where(chance > 0, chance, -np.inf).astype(np.float32)
            found = recommend_in_order(score, number[chosen] - begin, queries.take(chosen), n, filter_seen)
            items[chosen], scores[chosen] = found.item, found.score
        return Candidates(items, scores)

    def tables(self) -> Tables:
        return Tables()

    def _areas(self, dataset: Dataset) -> list[tuple[int, Ints]]:
        """The areas (U,) of all users at each width, -1 where it is not known."""
        codes, base, longest = user_codes(dataset, "zip"), 10, ZIP_DIGITS
        if self.config.areas == "geohash":
            codes, base, longest = geohashes(codes), 32, GEOHASH_LENGTH
        return [(width, prefixes(codes, base ** (longest - width))) for width in self.config.prefixes]

    def _rows(self, queries: Queries) -> Longs:
        """(B, K) the row of each query's area at each width, -1 for one without users in the fitted log."""
        found = []
        for width, area in self._areas(queries.log):
            own = np.append(area, -1)[queries.user_idx]
            (rows,) = np.nonzero(self.state["width"] == width)
            names = np.append(self.state["area"][rows], np.iinfo(np.int32).max)
            position = np.searchsorted(names, own)
            found.append(np.where(names[position] == own, np.append(rows, -1)[position], -1))
        return np.stack(found, axis=1)

    def _scores(self, areas: Longs) -> Doubles:
        """(A, I) chances of the items where the rows (A, K) of an area at each width are."""
        counts = sparse_from_state("count", self.state, len(self.state["popularity"]))
        score: Doubles = np.tile(self.state["popularity"], (len(areas), 1))
        for rows in areas.T:
            exists = np.flatnonzero(rows >= 0)
            score[exists] = back_off(counts[rows[exists]].toarray(), score[exists], self.config.smoothing)
        return score
