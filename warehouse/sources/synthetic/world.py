"""The films in the space of tastes, on their shelves."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from warehouse.sources.synthetic import Doubles, Longs
from warehouse.sources.synthetic.films import GENRES, N_GENRES, catalog, release_years
from warehouse.sources.synthetic.shape import Shape

TASTES = 8
"""Dimensions of the space of tastes."""

SHELF = 60
"""Popular films on a shelf, on average."""

YEAR = 31_557_600.0
"""Seconds of a year."""

TAIL_DEVIATION = 1.8
"""Standard deviation of the log popularity in the second long tail."""

TAIL_WEIGHT = 3.5e-4
"""Popularity of the whole second tail against that of the popular ones, by the root of its length."""


@dataclass(frozen=True)
class World:
    """I films on K shelves."""

    items: pl.DataFrame
    taste: Doubles  # (I, TASTES) unit vectors
    quality: Doubles  # (I,) standard normal; what is popular tends to be good
    out_at: Longs  # (I,) epoch second from which people can see it
    released: Longs  # (I,) the same, ascending
    renown: Doubles  # (I,) popularity relative to the most popular film of the shelf
    shelf_taste: Doubles  # (K, TASTES)
    shelf_weight: Doubles  # (K,) popularity of all its films
    shelf_start: Longs  # (K + 1,) where each shelf begins in on_shelf
    popular_stop: Longs  # (K,) where its popular films end, along which people walk
    on_shelf: Longs  # (I,) films, shelf by shelf, the popular ones first, in the order of walking along
    cumulative: Doubles  # (I,) running sum of the popularity within the shelf, up to 1

    def n_out(self, at: Longs) -> Longs:
        """(U,) films that are out at times (U,), epoch seconds."""
        return np.searchsorted(self.released, at, side="right")


def make_world(n: int, shape: Shape, rng: np.random.Generator) -> World:
    """A world of n films."""
    fractions = np.array(list(GENRES.values()))
    odds = np.log(fractions) + rng.gumbel(size=(n, len(fractions)))
    genres = np.argsort(-odds, axis=1)[:, : len(N_GENRES)]  # (I, 4)
    n_genres = 1 + rng.choice(len(N_GENRES), size=n, p=N_GENRES)
    has = np.arange(len(N_GENRES)) < n_genres[:, None]  # (I, 4)
    genre_taste = rng.standard_normal((len(fractions), TASTES))
    taste = np.einsum("igt,ig->it", genre_taste[genres], has / n_genres[:, None])
    taste = _unit(taste + 0.6 * rng.standard_normal((n, TASTES)))  # (I, TASTES)
    year = release_years(n, shape, rng)
    # Log popularity is skewed to the left: many films that hardly anybody knows.
    fame = rng.standard_normal(n)
    weight = np.exp(np.where(fame < 0, 2.6, 1.6) * fame)
    obscure, out_at = np.zeros(n, dtype=bool), np.zeros(n, dtype=np.int64)
    if shape.popular is not None:
        n_popular = min(shape.popular, 9 * n // 10)
        obscure[rng.permutation(n)[n_popular:]] = True
        tail = np.exp(TAIL_DEVIATION * fame[obscure])
        of_tail = TAIL_WEIGHT * np.sqrt(len(tail)) * weight[~obscure].sum()
        weight[obscure] = tail * of_tail / tail.sum()
        out_at = ((year - 1970 + rng.random(n)) * YEAR).astype(np.int64)
    quality = 0.5 * fame + np.sqrt(0.75) * rng.standard_normal(n)
    shelf_taste = taste[rng.choice(n, size=max(2, (n - obscure.sum()) // SHELF), replace=False)]
    shelf = np.argmax(taste @ shelf_taste.T, axis=1)
    on_shelf = np.lexsort((rng.random(n), year, obscure, shelf))
    sizes = np.bincount(shelf)
    start = np.concatenate([[0], np.cumsum(sizes)])
    shelf_weight: Doubles = np.bincount(shelf, weights=weight).astype(np.float64)
    running = np.cumsum(weight[on_shelf]) - np.repeat(np.cumsum(shelf_weight) - shelf_weight, sizes)
    return World(
        items=catalog(genres, n_genres, year, rng),
        taste=taste,
        quality=quality,
        renown=weight / np.maximum.reduceat(weight[on_shelf], start[:-1])[shelf],
        out_at=out_at,
        released=np.sort(out_at),
        shelf_taste=shelf_taste,
        shelf_weight=shelf_weight,
        shelf_start=start,
        popular_stop=start[:-1] + np.bincount(shelf, weights=~obscure).astype(np.int64),
        on_shelf=on_shelf,
        cumulative=running / np.repeat(shelf_weight, sizes),
    )


def _unit(vectors: Doubles) -> Doubles:
    unit: Doubles = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
