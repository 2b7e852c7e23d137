"""The films in the space of tastes, on their shelves."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from warehouse.sources.synthetic import Doubles, Longs
from warehouse.sources.synthetic.films import GENRES, N_GENRES, catalog, release_years

TASTES = 8
"""Dimensions of the space of tastes."""

SHELF = 60
"""Films on a shelf, on average."""


@dataclass(frozen=True)
class World:
    """I films on K shelves."""

    items: pl.DataFrame
    taste: Doubles  # (I, TASTES) unit vectors
    quality: Doubles  # (I,) standard normal; what is popular tends to be good
    renown: Doubles  # (I,) popularity relative to the most popular film of the shelf
    shelf_taste: Doubles  # (K, TASTES)
    shelf_weight: Doubles  # (K,) popularity of all its films
    shelf_start: Longs  # (K + 1,) where each shelf begins in on_shelf
    on_shelf: Longs  # (I,) films, shelf by shelf, in the order of walking along
    cumulative: Doubles  # (I,) running sum of the popularity within the shelf, up to 1


def make_world(n: int, rng: np.random.Generator) -> World:
    """A world of n films."""
    fractions = np.array(list(GENRES.values()))
    odds = np.log(fractions) + rng.gumbel(size=(n, len(fractions)))
    genres = np.argsort(-odds, axis=1)[:, : len(N_GENRES)]  # (I, 4)
    n_genres = 1 + rng.choice(len(N_GENRES), size=n, p=N_GENRES)
    has = np.arange(len(N_GENRES)) < n_genres[:, None]  # (I, 4)
    genre_taste = rng.standard_normal((len(fractions), TASTES))
    taste = np.einsum("igt,ig->it", genre_taste[genres], has / n_genres[:, None])
    taste = _unit(taste + 0.6 * rng.standard_normal((n, TASTES)))  # (I, TASTES)
    year = release_years(n, rng)
    # Log popularity is skewed to the left: many films that hardly anybody knows.
    fame = rng.standard_normal(n)
    weight = np.exp(np.where(fame < 0, 2.6, 1.6) * fame)
    quality = 0.5 * fame + np.sqrt(0.75) * rng.standard_normal(n)
    shelf_taste = taste[rng.choice(n, size=max(2, n // SHELF), replace=False)]
    shelf = np.argmax(taste @ shelf_taste.T, axis=1)
    on_shelf = np.lexsort((rng.random(n), year, shelf))
    sizes = np.bincount(shelf)
    start = np.concatenate([[0], np.cumsum(sizes)])
    shelf_weight: Doubles = np.bincount(shelf, weights=weight).astype(np.float64)
    running = np.cumsum(weight[on_shelf]) - np.repeat(np.cumsum(shelf_weight) - shelf_weight, sizes)
    return World(
        items=catalog(genres, n_genres, year, rng),
        taste=taste,
        quality=quality,
        renown=weight / np.maximum.reduceat(weight[on_shelf], start[:-1])[shelf],
        shelf_taste=shelf_taste,
        shelf_weight=shelf_weight,
        shelf_start=start,
        on_shelf=on_shelf,
        cumulative=running / np.repeat(shelf_weight, sizes),
    )


def _unit(vectors: Doubles) -> Doubles:
    unit: Doubles = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
