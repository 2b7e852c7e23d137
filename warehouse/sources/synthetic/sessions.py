"""When people rate, and how much at a time."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from warehouse.sources.synthetic import Longs
from warehouse.sources.synthetic.people import People

Number = TypeVar("Number", np.int64, np.float64)

MIN_RATINGS = 20
LOG_RATINGS = (4.33, 1.17)
"""Mean and standard deviation of the log of the ratings beyond the minimum."""

MAX_SEEN = 0.6
"""Fraction of the films that were out on arrival that one person can have rated."""

RETURNING = 0.45
"""Fraction of the users who come back after their first session."""

LOG_RETURNS = (0.7, 1.2)
"""Mean and standard deviation of the log of how often they do, for every hundred ratings."""

LATER_SESSION = 0.18
"""Parameter of the geometric number of ratings then."""

LOG_ABSENCE = (15.3, 2.0)
"""Mean and standard deviation of the log of the seconds between two sessions, of who returns once; of who
returns k times they are k times shorter."""

SAME_SECOND = 0.54
"""Fraction of the ratings that are handed in together with the one before."""

PACE = 45
"""Seconds that each other rating takes at most."""


@dataclass(frozen=True)
class Sessions:
    """S sessions, by user and time."""

    user: Longs  # (S,) number in the chunk
    start: Longs  # (S,) epoch seconds
    size: Longs  # (S,) ratings


def make_sessions(people: People, n_out: Longs, end: int, rng: np.random.Generator) -> Sessions:
    """All sessions of the users of a chunk, when ``n_out`` (U,) films were out, until the log ends."""
    n = len(people.user_id)
    most = (MAX_SEEN * n_out).astype(np.int64)
    total = np.minimum(MIN_RATINGS + rng.lognormal(*LOG_RATINGS, n).astype(np.int64), most)
    later = np.where(
        rng.random(n) < RETURNING, np.ceil(rng.lognormal(*LOG_RETURNS, n) * total / 100), 0
    ).astype(np.int64)
    # Who comes at the end of the log begins early enough to finish.
    arrival = np.minimum(people.arrival, end - PACE * total)
    user = np.repeat(np.arange(n), later)
    size = rng.geometric(LATER_SESSION, len(user))
    absence = 3600 + rng.lognormal(*LOG_ABSENCE, len(user)) / later[user]
    # No second session begins before the one before is over, however long that took.
    absence += PACE * np.maximum(total[user], size)
    start = arrival[user] + running_sum(absence, user)
    # What does not fit into half of the user's ratings, or into the log, does not happen.
    happens = (running_sum(size, user) <= total[user] // 2) & (start + PACE * size < end)
    user, size, start = user[happens], size[happens], start[happens].astype(np.int64)
    first = total - np.bincount(user, weights=size, minlength=n).astype(np.int64)
    users = np.concatenate([np.arange(n), user])
    starts = np.concatenate([arrival, start])
    order = np.lexsort((starts, users))
    return Sessions(users[order], starts[order], np.concatenate([first, size])[order])


def rating_times(sessions: Sessions, session: Longs, rng: np.random.Generator) -> Longs:
    """(E,) epoch seconds, never decreasing within a session."""
    gap = np.where(rng.random(len(session)) < SAME_SECOND, 0, rng.integers(5, PACE, len(session)))
    times: Longs = sessions.start[session] + running_sum(gap, session)
    return times


def running_sum(values: NDArray[Number], group: Longs) -> NDArray[Number]:
    """Running sums within each group of adjacent rows, each including its own row."""
    total = np.cumsum(values)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    before = (total - values)[first]
    sums: NDArray[Number] = total - np.repeat(before, np.diff(np.append(first, len(group))))
    return sums
