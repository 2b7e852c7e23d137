"""The way of a session from film to film, compiled."""

import numpy as np
from numba import njit

from warehouse.sources.synthetic import Doubles, Longs

FILM_CHOICE = 1.5
"""Weight of taste in the choice of a film."""

STAY = 0.85
"""Probability that the next film is from the same shelf."""

ALONG = 0.6
"""Probability that it is then one of the next along the shelf, not any of it."""

TRIES = 60
"""Films passed over before someone takes the next one that is new to them."""


@njit(cache=True)
def walk(
    rng: np.random.Generator,
    user: Longs,  # (S,)
    at: Longs,  # (S,) epoch seconds
    size: Longs,  # (S,)
    taste: Doubles,  # (S, TASTES)
    shelf_odds: Doubles,  # (S, K) cumulative
    film_taste: Doubles,  # (I, TASTES)
    renown: Doubles,  # (I,)
    out_at: Longs,  # (I,) epoch seconds
    shelf_start: Longs,  # (K + 1,)
    popular_stop: Longs,  # (K,)
    on_shelf: Longs,  # (I,)
    cumulative: Doubles,  # (I,)
) -> Longs:
    """The films of all sessions, (sum of sizes,), each user's in the order in which they are rated."""
    films = np.empty(size.sum(), dtype=np.int64)
    last_seen_by = np.full(len(on_shelf), -1, dtype=np.int64)
    n = 0
    for session in range(len(size)):
        odds = shelf_odds[session]
        shelf, spot = _draw(rng, odds, 0, len(odds)), -1
        for _ in range(size[session]):
            passed = 0
            while True:
                if rng.random() > STAY:
                    shelf, spot = _draw(rng, odds, 0, len(odds)), -1
                start, stop = shelf_start[shelf], shelf_start[shelf + 1]
                along = 0 <= spot < popular_stop[shelf] and rng.random() < ALONG
                if not along:
                    spot = _draw(rng, cumulative, start, stop)
                else:
                    spot = spot + 1 if spot + 1 < popular_stop[shelf] else start
                film = on_shelf[spot]
                passed += 1
                if last_seen_by[film] == user[session] or out_at[film] > at[session]:
                    continue
                match = 0.0
                for dimension in range(taste.shape[1]):
                    match += taste[session, dimension] * film_taste[film, dimension]
                chance = 1 / (1 + np.exp(-FILM_CHOICE * match))
                if along:
                    chance *= np.sqrt(renown[film])
                if passed > TRIES or rng.random() < chance:
                    break
            last_seen_by[film] = user[session]
            films[n] = film
            n += 1
    return films


@njit(cache=True)
def _draw(rng: np.random.Generator, cumulative: Doubles, start: int, stop: int) -> int:
    """An index from start to stop, by cumulative odds that end at 1 but for rounding."""
    chance = rng.random()
    last = stop - 1
    while start < last:
        middle = (start + last) // 2
        if cumulative[middle] > chance:
            last = middle
        else:
            start = middle + 1
    return start
