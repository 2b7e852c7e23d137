"""Made-up ratings in the shape of MovieLens 1M, to try things out without a network and at any scale.

Films lie in a space of tastes, on shelves of similar ones. A person has a taste, which depends on gender and
age and drifts over the years, and rates in sessions: a long first one, then perhaps a few short ones. Within
a session people walk along a shelf, then go to another that suits them; they take what is popular and to
their taste, never a film twice. So there is something to learn for popularity, for collaborative and for
sequential models. The constants are fitted to counts of MovieLens 1M: users by month, ratings by user and
by film, sessions, shares of stars, of genres and of demographics.

Users come in chunks, each with its own random stream: memory is bounded by a chunk, and the same scale and
seed give the same bytes.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from warehouse.errors import MatineeError

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.float64)

VERSION = 1
"""To be raised with every change of what is generated."""

USERS, ITEMS = 6040, 3883
"""At scale 1. Users grow with the scale, films with its square root."""

MIN_ITEMS = 200
MAX_SCALE = 1000.0

CHUNK = 4096
"""Users generated at once: about 700,000 ratings."""

# Films.

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
"""Share of the films that have it."""

N_GENRES = (0.52, 0.34, 0.11, 0.03)
"""Share of the films with 1, 2, 3, 4 genres."""

TASTES = 8
"""Dimensions of the space of tastes."""

SHELF = 60
"""Films on a shelf, on average."""

# People.

GENDERS = {"F": 0.283, "M": 0.717}
AGES = {1: 0.037, 18: 0.183, 25: 0.347, 35: 0.197, 45: 0.091, 50: 0.082, 56: 0.063}
OCCUPATIONS = 21
ZIP_CODES = 100_000

MIN_RATINGS = 20
LOG_RATINGS = (4.33, 1.17)
"""Mean and standard deviation of the log of the ratings beyond the minimum."""

MAX_SHARE = 0.6
"""Of the films that one person has seen."""

# Times.

ARRIVALS = {
    956_703_932: 86,
    957_139_200: 466,
    959_817_600: 407,
    962_409_600: 634,
    965_088_000: 1101,
    967_766_400: 317,
    970_358_400: 248,
    973_036_800: 2106,
    975_628_800: 675,
}
"""Epoch second from which (2000-04-25, then the first of each month), users who came until the next."""

LAST_ARRIVAL = 978_307_200
END = 1_046_454_590
"""Epoch seconds of 2001-01-01 and 2003-02-28, when the log ends."""

RETURNING = 0.45
"""Share of the users who come back after their first session."""

LOG_RETURNS = (0.7, 1.2)
"""Mean and standard deviation of the log of how often they do, for every hundred ratings."""

LATER_SESSION = 0.18
"""Parameter of the geometric number of ratings then."""

LOG_ABSENCE = (15.3, 2.0)
"""Mean and standard deviation of the log of the seconds between two sessions, of who returns once; of who
returns k times they are k times shorter."""

SAME_SECOND = 0.54
"""Share of the ratings that are handed in together with the one before."""

PACE = 45
"""Seconds that other ratings take at most."""

YEAR = 31_557_600.0
"""Seconds."""

# Choices.

TASTE_BY_GROUP, TASTE_OF_ONES_OWN, DRIFT, MOOD = 0.5, 0.8, 0.5, 0.4
"""Standard deviations in the space of tastes: of a gender or age, a person, a year, a session."""

SHELF_CHOICE = 1.0
"""How much taste decides on the shelf, against its popularity."""

FILM_CHOICE = 1.5
"""How much taste decides on the film."""

STAY = 0.85
"""Probability that the next film is from the same shelf."""

ALONG = 0.6
"""Probability that it is then one of the next along the shelf, not any of it."""

TRIES = 60
"""Films passed over before someone takes the next one that is new to them."""

# Stars.

STARS_BY_USER, STARS_BY_FILM, STARS_BY_MATCH, STARS_BY_CHANCE = 0.4, 0.6, 0.4, 0.85
"""Standard deviations of a liking."""

STAR_LIMITS = (-1.2, -0.5, 0.4, 1.5)
"""Liking from which on someone gives 2, 3, 4, 5 stars."""

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


@dataclass(frozen=True)
class Synthetic:
    """A data set of ``scale`` times the users of MovieLens 1M.

    Raises:
        MatineeError: the scale is not above 0, or absurdly large.
    """

    scale: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.scale <= MAX_SCALE:
            raise MatineeError(f"the scale of synthetic data is a number above 0, at most {MAX_SCALE:g}")

    @property
    def n_users(self) -> int:
        """Users, at least one."""
        return max(1, round(USERS * self.scale))

    @property
    def n_items(self) -> int:
        """Films; some are so obscure that nobody rates them."""
        return max(MIN_ITEMS, round(ITEMS * math.sqrt(self.scale)))

    def items(self) -> pl.DataFrame:
        """item_id, title, year, genres of all films."""
        return self._world.items

    def users(self) -> pl.DataFrame:
        """user_id, gender, age, occupation, zip of all users."""
        return pl.concat(self._people(chunk).table() for chunk in self._chunks())

    def ratings(self) -> Iterator[pl.DataFrame]:
        """user_id, item_id, rating, timestamp (epoch seconds), by user and time, a chunk of users a frame."""
        for number, chunk in enumerate(self._chunks()):
            people = self._people(chunk)
            yield _ratings(self._world, people, np.random.default_rng([self.seed, 2, number]))

    def write(self, folder: Path) -> None:
        """Write ratings.dat, movies.dat and users.dat as MovieLens 1M has them."""
        folder.mkdir(parents=True, exist_ok=True)
        movies = self.items().select("item_id", "title", pl.col("genres").list.join("|"))
        _write(folder / "movies.dat", [movies])
        _write(folder / "users.dat", [self.users()])
        _write(folder / "ratings.dat", self.ratings())

    @cached_property
    def _world(self) -> "_World":
        return _make_world(self.n_items, np.random.default_rng([self.seed, 0]))

    def _chunks(self) -> Iterator[Longs]:
        """Numbers of the users (from 0) of each chunk."""
        for first in range(0, self.n_users, CHUNK):
            yield np.arange(first, min(first + CHUNK, self.n_users))

    def _people(self, users: Longs) -> "_People":
        return _make_people(users, self.n_users, np.random.default_rng([self.seed, 1, users[0]]))


def as_lines(rows: pl.DataFrame) -> pl.Series:
    """Each row as a line of a ``::`` file."""
    whole = rows.with_columns(pl.col(pl.Float32).cast(pl.Int64))
    return whole.select(pl.concat_str(pl.all(), separator="::")).to_series()


def _write(path: Path, parts: Iterable[pl.DataFrame]) -> None:
    with path.open("w", encoding="latin-1") as file:
        for part in parts:
            file.write(as_lines(part).str.join("\n").item() + "\n")


@dataclass(frozen=True)
class _World:
    """I films on K shelves."""

    items: pl.DataFrame
    taste: Floats  # (I, TASTES) unit vectors
    quality: Floats  # (I,) standard normal; what is popular tends to be good
    renown: Floats  # (I,) popularity relative to the most popular film of the shelf
    shelf_taste: Floats  # (K, TASTES)
    shelf_weight: Floats  # (K,) popularity of all its films
    shelf_start: Longs  # (K + 1,) where each shelf begins in on_shelf
    on_shelf: Longs  # (I,) films, shelf by shelf, in the order of walking along
    cumulative: Floats  # (I,) running sum of the popularity within the shelf, up to 1


def _make_world(n: int, rng: np.random.Generator) -> _World:
    shares = np.array(list(GENRES.values()))
    genres = np.argsort(-(np.log(shares) + rng.gumbel(size=(n, len(shares)))), axis=1)[:, : len(N_GENRES)]
    n_genres = 1 + rng.choice(len(N_GENRES), size=n, p=N_GENRES)
    has = np.arange(len(N_GENRES)) < n_genres[:, None]  # (I, 4)
    genre_taste = rng.standard_normal((len(shares), TASTES))
    taste = np.einsum("igt,ig->it", genre_taste[genres], has / n_genres[:, None])
    taste = _unit(taste + 0.6 * rng.standard_normal((n, TASTES)))  # (I, TASTES)
    year = _years(n, rng)
    # Log popularity is skewed to the left: many films that hardly anybody knows.
    fame = rng.standard_normal(n)
    weight = np.exp(np.where(fame < 0, 2.6, 1.6) * fame)
    quality = 0.5 * fame + np.sqrt(0.75) * rng.standard_normal(n)
    shelf_taste = taste[rng.choice(n, size=max(2, n // SHELF), replace=False)]
    shelf = np.argmax(taste @ shelf_taste.T, axis=1)
    on_shelf = np.lexsort((rng.random(n), year, shelf))
    sizes = np.bincount(shelf)
    start = np.concatenate([[0], np.cumsum(sizes)])
    shelf_weight: Floats = np.bincount(shelf, weights=weight).astype(np.float64)
    running = np.cumsum(weight[on_shelf]) - np.repeat(np.cumsum(shelf_weight) - shelf_weight, sizes)
    return _World(
        items=_catalog(genres, n_genres, year, rng),
        taste=taste,
        quality=quality,
        renown=weight / np.maximum.reduceat(weight[on_shelf], start[:-1])[shelf],
        shelf_taste=shelf_taste,
        shelf_weight=shelf_weight,
        shelf_start=start,
        on_shelf=on_shelf,
        cumulative=running / np.repeat(shelf_weight, sizes),
    )


def _years(n: int, rng: np.random.Generator) -> Longs:
    """1919 to 2000, two thirds of them in the last decade."""
    age = np.where(rng.random(n) < 0.65, rng.exponential(4.0, n), 10 + 71 * rng.beta(0.9, 1.6, n))
    return 2000 - np.minimum(age, 81).astype(np.int64)


def _catalog(genres: Longs, n_genres: Longs, year: Longs, rng: np.random.Generator) -> pl.DataFrame:
    """Titles like "Crimson Harbor 2 (1987)", each once, the words in random order."""
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
            **{f"genre_{place}": names for place, names in enumerate(np.array(list(GENRES))[genres].T)},
        }
    )
    return columns.select(
        item_id=pl.int_range(1, n + 1, dtype=pl.Int64),
        title=pl.format("{} {}{} ({})", "adjective", "noun", "part", "year"),
        year="year",
        genres=pl.concat_list("^genre_.*$").list.head("n_genres").list.sort(),
    )


@dataclass(frozen=True)
class _People:
    """The U users of a chunk."""

    user_id: Longs  # (U,)
    gender: Longs  # (U,) number in GENDERS
    age: Longs  # (U,) number in AGES
    occupation: Longs  # (U,)
    zip: Longs  # (U,)
    arrival: Longs  # (U,) epoch seconds

    def table(self) -> pl.DataFrame:
        """As the rows of ``users``."""
        return pl.DataFrame(
            {
                "user_id": self.user_id,
                "gender": np.array(list(GENDERS))[self.gender],
                "age": np.array(list(AGES), dtype=np.int32)[self.age],
                "occupation": self.occupation.astype(np.int32),
                "zip": np.char.zfill(self.zip.astype(str), 5),
            }
        )


def _make_people(users: Longs, n_users: int, rng: np.random.Generator) -> _People:
    n = len(users)
    came = np.concatenate([[0], np.cumsum(list(ARRIVALS.values()))])
    # As in MovieLens 1M, who came later has the smaller id.
    place = 1 - (users + rng.random(n)) / n_users
    return _People(
        user_id=users + 1,
        gender=_choose(GENDERS, n, rng),
        age=_choose(AGES, n, rng),
        occupation=rng.integers(0, OCCUPATIONS, n),
        zip=rng.integers(0, ZIP_CODES, n),
        arrival=np.interp(place * came[-1], came, [*ARRIVALS, LAST_ARRIVAL]).astype(np.int64),
    )


def _choose(shares: dict[str, float] | dict[int, float], n: int, rng: np.random.Generator) -> Longs:
    return rng.choice(len(shares), size=n, p=list(shares.values()))


@dataclass(frozen=True)
class _Sessions:
    """S sessions, by user and time."""

    user: Longs  # (S,) number in the chunk
    start: Longs  # (S,) epoch seconds
    size: Longs  # (S,) ratings


def _ratings(world: _World, people: _People, rng: np.random.Generator) -> pl.DataFrame:
    sessions = _make_sessions(people, len(world.taste), rng)
    taste = _session_tastes(people, sessions, rng)  # (S, TASTES)
    shelves = SHELF_CHOICE * taste @ world.shelf_taste.T + np.log(world.shelf_weight)  # (S, K)
    odds = np.exp(shelves - shelves.max(axis=1, keepdims=True))
    odds = np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)
    item = _walk(
        rng,
        sessions.user,
        sessions.size,
        taste,
        odds,
        world.taste,
        world.renown,
        world.shelf_start,
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
    return pl.DataFrame(
        {
            "user_id": people.user_id[user],
            "item_id": item + 1,
            "rating": (1 + np.searchsorted(STAR_LIMITS, liking)).astype(np.float32),
            "timestamp": _times(sessions, session, rng),
        }
    )


def _make_sessions(people: _People, n_items: int, rng: np.random.Generator) -> _Sessions:
    n = len(people.user_id)
    most = int(MAX_SHARE * n_items)
    total = np.minimum(MIN_RATINGS + rng.lognormal(*LOG_RATINGS, n).astype(np.int64), most)
    later = np.where(
        rng.random(n) < RETURNING, np.ceil(rng.lognormal(*LOG_RETURNS, n) * total / 100), 0
    ).astype(np.int64)
    user = np.repeat(np.arange(n), later)
    size = rng.geometric(LATER_SESSION, len(user))
    absence = 3600 + rng.lognormal(*LOG_ABSENCE, len(user)) / later[user]
    # No second session begins before the one before is over, however long that took.
    absence += PACE * np.maximum(total[user], size)
    start = people.arrival[user] + _running(absence, user)
    # What does not fit into half of the user's ratings, or into the log, does not happen.
    happens = (_running(size, user) <= total[user] // 2) & (start + PACE * size < END)
    user, size, start = user[happens], size[happens], start[happens].astype(np.int64)
    first = total - np.bincount(user, weights=size, minlength=n).astype(np.int64)
    users = np.concatenate([np.arange(n), user])
    starts = np.concatenate([people.arrival, start])
    order = np.lexsort((starts, users))
    return _Sessions(users[order], starts[order], np.concatenate([first, size])[order])


def _session_tastes(people: _People, sessions: _Sessions, rng: np.random.Generator) -> Floats:
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


def _times(sessions: _Sessions, session: Longs, rng: np.random.Generator) -> Longs:
    """(E,) epoch seconds, never decreasing within a session."""
    gap = np.where(rng.random(len(session)) < SAME_SECOND, 0, rng.integers(5, PACE, len(session)))
    times: Longs = sessions.start[session] + _running(gap, session)
    return times


def _running(values: NDArray[Number], group: Longs) -> NDArray[Number]:
    """Running sums within each group of adjacent rows, each including its own row."""
    total = np.cumsum(values)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    before = (total - values)[first]
    running: NDArray[Number] = total - np.repeat(before, np.diff(np.append(first, len(group))))
    return running


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


@njit(cache=True)
def _walk(
    rng: np.random.Generator,
    user: Longs,  # (S,)
    size: Longs,  # (S,)
    taste: Floats,  # (S, TASTES)
    shelf_odds: Floats,  # (S, K) cumulative
    film_taste: Floats,  # (I, TASTES)
    renown: Floats,  # (I,)
    shelf_start: Longs,  # (K + 1,)
    on_shelf: Longs,  # (I,)
    cumulative: Floats,  # (I,)
) -> Longs:
    """The films of all sessions, (sum of sizes,), each user's in the order in which they are rated."""
    films = np.empty(size.sum(), dtype=np.int64)
    last_seen_by = np.full(len(on_shelf), -1, dtype=np.int64)
    place = 0
    for session in range(len(size)):
        odds = shelf_odds[session]
        shelf, spot = _draw(rng, odds, 0, len(odds)), -1
        for _ in range(size[session]):
            passed = 0
            while True:
                if rng.random() > STAY:
                    shelf, spot = _draw(rng, odds, 0, len(odds)), -1
                start, stop = shelf_start[shelf], shelf_start[shelf + 1]
                along = spot >= 0 and rng.random() < ALONG
                if not along:
                    spot = _draw(rng, cumulative, start, stop)
                else:
                    spot = spot + 1 if spot + 1 < stop else start
                film = on_shelf[spot]
                passed += 1
                if last_seen_by[film] == user[session]:
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
            films[place] = film
            place += 1
    return films


@njit(cache=True)
def _draw(rng: np.random.Generator, cumulative: Floats, start: int, stop: int) -> int:
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
