"""Films as people see them: genres, years and titles."""

import numpy as np
import polars as pl

from warehouse.sources.synthetic import Longs
from warehouse.sources.synthetic.shape import Shape

GENRES = {
    "Drama": 0.41,
    "Comedy": 0.31,
    "Action": 0.13,
    "Thriller": 0.13,
    "Romance": 0.12,
    "Horror": 0.09,
    "Adventure": 0.07,
    "Sci-Fi": 0.07,
    "Children's": 0.065,
    "Crime": 0.054,
    "War": 0.037,
    "Documentary": 0.033,
    "Musical": 0.029,
    "Mystery": 0.027,
    "Animation": 0.027,
    "Fantasy": 0.018,
    "Western": 0.018,
    "Film-Noir": 0.011,
}
"""Fraction of the films that have the genre."""

N_GENRES = (0.52, 0.34, 0.11, 0.03)
"""Fraction of the films with 1, 2, 3, 4 genres."""

# fmt: off
ADJECTIVES = (
    "Silent", "Crimson", "Golden", "Broken", "Hidden", "Distant", "Frozen", "Burning", "Lonely",
    "Midnight", "Savage", "Gentle", "Forgotten", "Electric", "Velvet", "Restless", "Hollow", "Scarlet",
    "Wandering", "Last", "Perfect", "Strange", "Sudden", "Quiet", "Wild", "Secret", "Paper", "Northern",
    "Second", "Endless", "Glass", "Bitter", "Summer", "Winter", "Stolen", "Innocent", "Blue",
    "Ordinary", "Invisible", "Sacred", "Falling", "Iron", "Painted", "Little", "Deep", "Bright",
    "Careless", "Final", "Honest", "Infinite",
)
NOUNS = (
    "River", "Garden", "Mirror", "Harbor", "Letter", "Kingdom", "Shadow", "Island", "Stranger",
    "Horizon", "Promise", "Empire", "Voyage", "Orchard", "Clock", "Witness", "Carnival", "Lantern",
    "Bridge", "Detective", "Orchestra", "Prairie", "Memory", "Station", "Empress", "Thief", "Tower",
    "Dancer", "Valley", "Machine", "Circus", "Planet", "Soldier", "Portrait", "Desert", "Night",
    "Avenue", "Wedding", "Hunter", "Cathedral", "Ocean", "Menagerie", "Theorem", "Pilot", "Sonata",
    "Colony", "Window", "Comet", "Labyrinth", "Holiday",
)
# fmt: on


def release_years(n: int, shape: Shape, rng: np.random.Generator) -> Longs:
    """(n,) years when films came out, over 81 years, two thirds of them recent."""
    is_recent, recent = rng.random(n) < 0.65, rng.exponential(shape.recent_years, n)
    age = np.where(is_recent, recent, 10 + 71 * rng.beta(0.9, 1.6, n))
    return shape.last_year - np.minimum(age, 81).astype(np.int64)


def catalog(genres: Longs, n_genres: Longs, year: Longs, rng: np.random.Generator) -> pl.DataFrame:
    """item_id, title, year, genres of all films.

    Titles are like "Crimson Harbor 2 (1987)", each once, the words in random order.
    """
    n = len(year)
    pairs = len(ADJECTIVES) * len(NOUNS)
    pair, part = rng.permutation(pairs)[np.arange(n) % pairs], np.arange(n) // pairs + 1
    columns = pl.DataFrame(
        {
            "adjective": np.array(ADJECTIVES)[pair // len(NOUNS)],
            "noun": np.array(NOUNS)[pair % len(NOUNS)],
            "part": np.where(part > 1, np.char.add(" ", part.astype(str)), ""),
            "year": year.astype(np.int32),
            "n_genres": n_genres,
            **{f"genre_{number}": names for number, names in enumerate(np.array(list(GENRES))[genres].T)},
        }
    )
    return columns.select(
        item_id=pl.int_range(1, n + 1, dtype=pl.Int64),
        title=pl.format("{} {}{} ({})", "adjective", "noun", "part", "year"),
        year="year",
        genres=pl.concat_list("^genre_.*$").list.head("n_genres").list.sort(),
    )
