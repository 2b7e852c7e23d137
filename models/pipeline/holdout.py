"""What a release is fitted for and asked, and the validation split of any log that says how well it does.

``daily``: what users do in the next days, asked at the start of each. ``next``: each user's very next film,
asked at the time of the newest: what was just watched is fresh, however long ago that was.
"""

import numpy as np

from models.dataset import DAY, Dataset, Ints, Queries, first_ratings, queries_after, queries_at
from models.evaluation.protocols import daily_window, next_films
from models.evaluation.sampling import some_queries
from models.evaluation.split import Split

OBJECTIVES = ("daily", "next")

MIN_TARGETS = 20_000
"""Ratings that the newest days must hold to be a validation window: a ranker needs more than a merge."""

MAX_SHARE = 0.2
"""Of the log, by ratings, that validation may hold back; the day that reaches it counts as a whole."""

NEXT_FILMS = 5
"""Newest ratings of each user that are asked for, one after the other: rankers learn from every answer."""

MAX_QUERIES = 30_000
"""Queries at most, spread evenly: more teach a ranker little and cost recall as much each."""


def rule() -> dict[str, float]:
    """What decides which part of a log is held back."""
    return {"min_targets": MIN_TARGETS, "max_share": MAX_SHARE, "next_films": NEXT_FILMS}


def questions(log: Dataset, objective: str, users: Ints) -> Queries:
    """What a release of the log answers: a question a user, asked as those of ``validation`` are."""
    return queries_after(log, users) if objective == "next" else queries_at(log, users=users)


def validation(log: Dataset, objective: str) -> Split | None:
    """The newest part of the log, held back; None if the log is too small to hold anything back."""
    try:
        split = next_films(log, NEXT_FILMS) if objective == "next" else _newest_days(log)
        return some_queries(split, MAX_QUERIES)
    except ValueError:
        return None


def _newest_days(log: Dataset) -> Split:
    """The shortest run of whole days up to the newest with MIN_TARGETS ratings, or MAX_SHARE of the log."""
    wanted = max(1, min(MIN_TARGETS, int(MAX_SHARE * log.n_events)))
    newest_first = np.sort(log.at[first_ratings(log)])[::-1]
    end = (int(newest_first[0]) // DAY + 1) * DAY
    start = int(newest_first[wanted - 1]) // DAY * DAY
    return daily_window(log, start, end)
