"""The files of MovieLens 100K, ``u.data``, ``u.item`` and ``u.user``, as frames.

They are those of https://files.grouplens.org/datasets/movielens/ml-100k-README.txt. Ages and occupations come
in words and years there; here they get the codes of MovieLens 1M, whose groups have enough people each.
"""

from typing import IO

import polars as pl

from warehouse.sources.movielens import read_fields, unique_ids, with_year_and_genres

GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary"),
    *("Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller"),
    *("War", "Western"),
)
"""In the order of their flags, from which ``u.genre`` does not differ."""

AGES = (18, 25, 35, 45, 50, 56)
"""The least age of each group but the first, whose code is 1; that of the others is the age."""

OCCUPATIONS = {
    "other": 0, "educator": 1, "artist": 2, "administrator": 3, "student": 4, "doctor": 6, "healthcare": 6,
    "executive": 7, "homemaker": 9, "lawyer": 11, "programmer": 12, "retired": 13, "marketing": 14,
    "salesman": 14, "scientist": 15, "engineer": 17, "technician": 17, "none": 19, "writer": 20,
    "entertainment": 0, "librarian": 0,
}  # fmt: skip
"""The codes of MovieLens 1M, which has no word for the last two."""


def read_items(file: IO[bytes]) -> pl.DataFrame:
    """``u.item`` (id|title|release|video release|URL, and a flag a genre) as item_id, title, year, genres."""
    raw = read_fields(file, "|", ("item_id", "title", "release", "video_release", "url", *GENRES))
    flagged = [pl.when(pl.col(name).str.strip_chars() == "1").then(pl.lit(name)) for name in GENRES[1:]]
    genres = pl.concat_str(flagged, separator="|", ignore_nulls=True)
    return with_year_and_genres(raw.select("item_id", "title", genres=genres))


def read_users(file: IO[bytes]) -> pl.DataFrame:
    """``u.user`` (id|age|gender|occupation|zip) as user_id, gender, age, occupation, zip.

    Ages that are no numbers and occupations that are none of OCCUPATIONS are null.
    """
    raw = read_fields(file, "|", ("user_id", "age", "gender", "occupation", "zip"))
    years = pl.col("age").cast(pl.Int32, strict=False)
    age = pl.when(years.is_not_null()).then(pl.max_horizontal(1, *(_reached(years, age) for age in AGES)))
    users = raw.select(
        "user_id",
        "gender",
        age=age.cast(pl.Int32),
        occupation=pl.col("occupation").replace_strict(OCCUPATIONS, default=None, return_dtype=pl.Int32),
        zip="zip",
    )
    return unique_ids(users, "user_id")


def _reached(years: pl.Expr, age: int) -> pl.Expr:
    return pl.when(years >= age).then(pl.lit(age))
