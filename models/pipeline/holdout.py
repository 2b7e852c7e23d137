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
from models.evaluation.sampling import some_queries, with_queries
from models.evaluation.split import Split
from models.evaluation.visits import newest_visits

ENOUGH_USERS = 30
"""Users who come back within the newest days that are enough to learn from, or a tenth of a smaller log's."""


class HoldoutConfig(Config):
    """The newest part of a log, held back to fit the merge and the rankers on."""

    min_targets: PositiveInt = 20_000
    """Ratings of returning users that the newest days must hold, objective daily; a ranker needs more than a
    merge."""
    max_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Fraction of the log that is held back, objective visit, or at most, objective daily, where the day that
    reaches it counts as a whole."""
    next_films: PositiveInt = 5
    """Newest ratings of each user that are held back, objective next: rankers learn from each. Of objective
    daily too where hardly anybody comes back."""
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
            return _of_returning_users(log, config) or next_films(log, config.next_films)


def _of_returning_users(log: Dataset, config: HoldoutConfig) -> Split | None:
    """The newest days, of users with a history; None if few of the users and of the ratings are theirs.

    Of users without one neither weights nor a ranker learn anything: their lists come from one channel.
    """
    try:
        split = _newest_days(log, config)
    except ValueError:  # the log is of one day
        return None
    split = with_queries(split, np.flatnonzero(~split.queries.with_fewer_than(1)))
    n_targets, n_users = len(split.targets.item), len(np.unique(split.queries.user_idx))
    everybody = np.count_nonzero(np.diff(log.indptr))
    are_many = n_targets >= config.max_fraction * log.n_events / 4
    are_some = are_many and n_users >= max(1, min(ENOUGH_USERS, everybody / 10))
    return split if are_some or n_targets >= config.min_targets else None


def _newest_days(log: Dataset, config: HoldoutConfig) -> Split:
    """The shortest run of whole days up to the newest with enough ratings of users who had some before.

    If there are too few, the days with the fraction of the log.
    """
    newest_day, oldest_day = int(log.at.max()) // DAY, int(log.at.min()) // DAY
    first = first_ratings(log)
    is_back = log.at // DAY > log.at[log.indptr[log.user_idx]] // DAY
    of_all, of_returning = (
        np.cumsum(_ratings_by_age(log.at, ratings, newest_day, oldest_day))
        for ratings in (first, first & is_back)
    )
    # Films may be rated again: there may be fewer first ratings than that fraction.
    at_most = max(1, min(int(config.max_fraction * log.n_events), int(of_all[-1])))
    youngest, oldest = np.searchsorted(of_all, [1, at_most])
    oldest = min(oldest, np.searchsorted(of_returning, config.min_targets))
    return daily_window(log, int(newest_day - oldest) * DAY, int(newest_day - youngest + 1) * DAY)


@njit(cache=True)
def _ratings_by_age(at: Longs, counts: Mask, newest_day: int, oldest_day: int) -> Longs:
    """The ratings that count, by the number of days before the newest day."""
    ratings = np.zeros(newest_day - oldest_day + 1, dtype=np.int64)
    for row in range(len(at)):
        if counts[row]:
            ratings[newest_day - at[row] // DAY] += 1
    return ratings
