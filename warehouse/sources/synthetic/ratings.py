"""The ratings: which films people take by their tastes, and how they like them."""

import numpy as np
import polars as pl

from warehouse.sources.synthetic import VERSION, Doubles
from warehouse.sources.synthetic.people import AGES, GENDERS, People
from warehouse.sources.synthetic.sessions import Sessions, make_sessions, rating_times
from warehouse.sources.synthetic.walk import walk
from warehouse.sources.synthetic.world import TASTES, YEAR, World

TASTE_BY_GROUP, TASTE_OF_ONES_OWN, DRIFT, MOOD = 0.5, 0.8, 0.5, 0.4
"""Standard deviations in the space of tastes: of a gender or age, a person, a year, a session."""

SHELF_CHOICE = 1.0
"""Weight of taste in the choice of a shelf, against its popularity."""

STARS_BY_USER, STARS_BY_FILM, STARS_BY_MATCH, STARS_BY_CHANCE = 0.4, 0.6, 0.4, 0.85
"""Standard deviations of a liking."""

STAR_LIMITS = (-1.2, -0.5, 0.4, 1.5)
"""Liking from which on someone gives 2, 3, 4, 5 stars."""


def make_ratings(
    world: World, people: People, end: int, rng: np.random.Generator
) -> tuple[pl.DataFrame, Doubles]:
    """user_id, item_id, rating, timestamp of the users of a chunk, by user and time, before ``end``.

    Times are epoch seconds. Beside them (E,) how each film matches the taste of who rates it.
    """
    sessions = make_sessions(people, world.n_out(people.arrival), end, rng)
    taste = _session_tastes(people, sessions, rng)  # (S, TASTES)
    shelves = SHELF_CHOICE * taste @ world.shelf_taste.T + np.log(world.shelf_weight)  # (S, K)
    odds = np.exp(shelves - shelves.max(axis=1, keepdims=True))
    odds = np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)
    item = walk(
        rng,
        sessions.user,
        sessions.start,
        sessions.size,
        taste,
        odds,
        world.taste,
        world.renown,
        world.out_at,
        world.shelf_start,
        world.popular_stop,
        world.on_shelf,
        world.cumulative,
    )
    session = np.repeat(np.arange(len(sessions.size)), sessions.size)  # (E,)
    user = sessions.user[session]
    match = np.einsum("et,et->e", taste[session], world.taste[item])
    liking = (
        STARS_BY_USER * rng.standard_normal(len(people.user_id))[user]
        + STARS_BY_FILM * world.quality[item]
        + STARS_BY_MATCH * match
        + STARS_BY_CHANCE * rng.standard_normal(len(item))
    )
    ratings = pl.DataFrame(
        {
            "user_id": people.user_id[user],
            "item_id": item + 1,
            "rating": (1 + np.searchsorted(STAR_LIMITS, liking)).astype(np.float32),
            "timestamp": rating_times(sessions, session, rng),
        }
    )
    return ratings, match


def _session_tastes(people: People, sessions: Sessions, rng: np.random.Generator) -> Doubles:
    """(S, TASTES): of the group, of the person, drifted since the arrival, and the mood of the day."""
    n = len(people.user_id)
    groups = np.random.default_rng(VERSION)  # the same for all chunks
    by_gender = groups.standard_normal((len(GENDERS), TASTES))
    by_age = groups.standard_normal((len(AGES), TASTES))
    own = TASTE_BY_GROUP * (by_gender[people.gender] + by_age[people.age])
    own += TASTE_OF_ONES_OWN * rng.standard_normal((n, TASTES))
    drift = DRIFT * rng.standard_normal((n, TASTES))
    years = (sessions.start - people.arrival[sessions.user]) / YEAR
    mood = MOOD * rng.standard_normal((len(years), TASTES))
    return own[sessions.user] + years[:, None] * drift[sessions.user] + mood
