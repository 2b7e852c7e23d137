"""Behaviour beside ratings: how long people watch, what they like, collect and share, what they pass over.

The truth is simple enough to be compared with: of a film of L minutes a person watches the fraction c with

    mean(c) = sigmoid(INTEREST match + STARS (rating - 3) - LENGTH log(L / 100)),

drawn from a beta distribution, so that long films are watched to a smaller part at the same interest.
"""

import numpy as np
import polars as pl
from scipy.special import expit

from warehouse.sources.synthetic import VERSION, Doubles

LOG_MINUTES = (np.log(100.0), 0.45)
"""Mean and standard deviation of the log of films' lengths."""

INTEREST, STARS, LENGTH = 0.6, 0.5, 0.9
"""Weights of taste, of the rating, and of the length in what part is watched."""

CONCENTRATION = 4.0
"""Sum of the parameters of the beta distribution: the larger, the less chance."""

LIKED_AT, COLLECTED_AT, SHARED_AT = 1.0, 2.0, 3.0
"""Log odds to like, collect and share are so much below those of the part watched."""

PASSED_OVER = 1.0
"""Films passed over for each that is watched, on average."""


def film_lengths(n_items: int) -> pl.Series:
    """(I,) seconds, of whole minutes."""
    minutes = np.exp(np.random.default_rng([VERSION, 4]).normal(*LOG_MINUTES, n_items)).round()
    return pl.Series(60 * np.clip(minutes, 20, 400), dtype=pl.Float32)


def make_behaviour(
    ratings: pl.DataFrame, match: Doubles, n_items: int, rng: np.random.Generator
) -> pl.DataFrame:
    """The ratings (E,) with what was done, and the films passed over before each, by the order of ratings.

    ``match`` (E,) is that of taste and film. Columns as of ``warehouse.sources.behaviour.read_rows``, and
    ``expected_seconds``, the mean of ``watch_seconds`` by the truth.
    """
    length = film_lengths(n_items).to_numpy().astype(np.float64)
    of_play = length[ratings["item_id"].to_numpy() - 1]
    stars = ratings["rating"].to_numpy() - 3
    odds = INTEREST * match + STARS * stars - LENGTH * np.log(of_play / 6_000)
    mean = expit(odds)
    watched = rng.beta(CONCENTRATION * mean, CONCENTRATION * (1 - mean))
    plays = ratings.with_columns(
        clicked=pl.lit(True),
        watch_seconds=pl.Series((watched * of_play).round(), dtype=pl.Float32),
        duration_seconds=pl.Series(of_play, dtype=pl.Float32),
        expected_seconds=pl.Series(mean * of_play),
        **{
            name: pl.Series(rng.random(len(odds)) < expit(odds - at))
            for name, at in (("liked", LIKED_AT), ("collected", COLLECTED_AT), ("shared", SHARED_AT))
        },
    )
    passed = _passed_over(ratings, length, rng)
    rows = pl.concat([plays, passed], how="diagonal")
    return rows.sort("user_id", "timestamp", maintain_order=True).with_columns(
        is_play=pl.col("clicked"), is_plausible=pl.lit(True)
    )


def _passed_over(ratings: pl.DataFrame, length: Doubles, rng: np.random.Generator) -> pl.DataFrame:
    """Films, as popular as those that others rate, that people were shown when they rated, and have never
    rated themselves."""
    times = rng.poisson(PASSED_OVER, ratings.height)
    shown = ratings[np.repeat(np.arange(ratings.height), times)]
    item = rng.choice(ratings["item_id"].to_numpy(), shown.height)
    passed = shown.select(
        "user_id",
        "timestamp",
        item_id=pl.Series(item),
        rating=pl.lit(1.0, pl.Float32),
        clicked=pl.lit(False),
        watch_seconds=pl.lit(0.0, pl.Float32),
        duration_seconds=pl.Series(length[item - 1], dtype=pl.Float32),
        expected_seconds=pl.lit(0.0),
        liked=pl.lit(False),
        collected=pl.lit(False),
        shared=pl.lit(False),
    )
    keys = ["user_id", "item_id"]
    return passed.unique(keys, keep="first", maintain_order=True).join(
        ratings.select(keys), on=keys, how="anti"
    )
