"""The queries of a release, and the newest part of any log, which says how well it answers.

``daily``: what users do in the next days, asked at the start of each. ``next``: each user's very next film,
asked at the time of the newest event: what was just watched is fresh, however long ago that was. ``next`` and
``timed``: asked at the time at which it is watched, as a list made on request is. ``visit``: the first films
of whoever comes back, asked at that moment.
"""

from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field, PositiveInt

from models.config import Config
from models.dataset import DAY, Dataset, Ints, Longs, Mask, Queries, first_ratings, queries_after, queries_at
from models.evaluation.leave_out import next_films
from models.evaluation.protocols import daily_window
from models.evaluation.sampling import some_queries
from models.evaluation.split import Split
from models.evaluation.visits import newest_visits


class HoldoutConfig(Config):
    """The newest part of a log, held back to fit the merge and the rankers on."""

    min_targets: PositiveInt = 20_000
    """Ratings that the newest days must hold, objective daily; a ranker needs more than a merge."""
    max_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Fraction of the log that is held back, objective visit, or at most, objective daily, where the day that
    reaches it counts as a whole."""
    next_films: PositiveInt = 5
    """Newest ratings of each user that are held back, objective next: rankers learn from each."""
    timed: bool = False
    """Whether next films are asked for at their own time, objective next, or at that of the event before."""
    max_queries: PositiveInt = 30_000
    """Queries at most, spread evenly: each costs as much recall, and more teach a ranker little."""


def questions(log: Dataset, objective: str, config: HoldoutConfig, users: Ints) -> Queries:
    """One query for each of the users (B,), at the time that those of the holdout have."""
    own = at_own_times(objective, config)
    return queries_after(log, users) if own else queries_at(log, users=users)


def at_own_times(objective: str, config: HoldoutConfig) -> bool:
    """True if each user is asked at the time of the own newest event, False if all are at one time."""
    return objective == "next" and not config.timed


def holdout(log: Dataset, objective: str, config: HoldoutConfig) -> Split | None:
    """The newest part of the log, held back; None if the log is too small to hold anything back."""
    try:
        return some_queries(_held_back(log, objective, config), config.max_queries)
    except ValueError:
        return None


def _held_back(log: Dataset, objective: str, config: HoldoutConfig) -> Split:
    match objective:
        case "next":
            return next_films(log, config.next_films, config.timed)
        case "visit":
            return newest_visits(log, config.max_fraction)
        case _:
            return _newest_days(log, config)


def _newest_days(log: Dataset, config: HoldoutConfig) -> Split:
    """The shortest run of whole days up to the newest with enough ratings, or the fraction of the log."""
    newest_day = int(log.at.max()) // DAY
    ratings = _first_ratings_by_age(log.at, first_ratings(log), newest_day, int(log.at.min()) // DAY)
    at_most = min(int(config.max_fraction * log.n_events), int(ratings.sum()))  # films may be rated again
    wanted = max(1, min(config.min_targets, at_most))
    youngest, oldest = np.searchsorted(np.cumsum(ratings), [1, wanted])
    return daily_window(log, int(newest_day - oldest) * DAY, int(newest_day - youngest + 1) * DAY)


@njit(cache=True)
def _first_ratings_by_age(at: Longs, first: Mask, newest_day: int, oldest_day: int) -> Longs:
    """First ratings of a film by a user, by the number of days before the newest day."""
    ratings = np.zeros(newest_day - oldest_day + 1, dtype=np.int64)
    for row in range(len(at)):
        if first[row]:
            ratings[newest_day - at[row] // DAY] += 1
    return ratings
