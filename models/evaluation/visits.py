"""The first films of each visit: what a published list is for.

A visit is a run of a user's events without a gap of more than VISIT_GAP. Who comes back after one sees a list
that was made before; what is rated within the first minute answers it. Later films of the visit say more of
the page they stood on than of the user.
"""

from dataclasses import replace

import numpy as np

from models.dataset import Dataset, Mask, Queries, first_ratings
from models.evaluation.split import Split, all_items, has_history, span
from models.targets import in_runs, run_starts

VISIT_GAP = 1_800
"""Seconds without an event after which the next one begins a new visit."""

FIRST_PAGE = 60
"""Seconds from the beginning of a visit within which its films are targets."""

PAST = 0.9
"""Quantile of the times of all events up to which models learn."""


def next_visit(log: Dataset) -> Split:
    """``newest_visits`` of the last tenth of the events.

    Slices: ``known`` and ``unknown``, whether the training part has the user, and ``last``, each user's last
    visit.
    """
    split = newest_visits(log, 1 - PAST)
    in_train = has_history(split.train)[split.queries.user_idx]
    slices = {"known": in_train, "unknown": ~in_train, "last": _last_of_user(split.queries)}
    return replace(split, protocol="next-visit", slices=slices)


def newest_visits(log: Dataset, fraction: float) -> Split:
    """Train on all before the newest fraction of the events; each later visit is asked for at its beginning.

    Histories hold all that the user did before the visit. A user's first visit follows no gap and has no
    query.

    Raises:
        ValueError: nobody comes back in that part of the log.
    """
    if not log.n_events:
        raise ValueError("visits are needed; the log has none")
    cut = int(np.quantile(log.at, 1 - fraction)) + 1
    begins = visit_starts(log)
    visit = np.cumsum(begins) - 1  # (E,)
    first_row = np.flatnonzero(begins)[visit]  # (E,) of the row's visit
    later = (log.at[first_row] >= cut) & (first_row > log.indptr[log.user_idx])
    on_first_page = log.at - log.at[first_row] <= FIRST_PAGE
    rows = np.flatnonzero(later & on_first_page & first_ratings(log))
    if not len(rows):
        raise ValueError(
            f"users are needed who come back in the newest {fraction:.0%} of the log, which has {span(log)}"
        )
    begin = run_starts(visit[rows])
    end = first_row[rows[begin]]
    users = log.user_idx[end]
    queries = Queries(users, log.at[end], log.indptr[users], end, log)
    return Split("visits", log.before(cut), queries, in_runs(log, rows, begin), all_items(log))


def visit_starts(log: Dataset) -> Mask:
    """(E,) whether a visit begins with the row."""
    begins = np.ones(log.n_events, dtype=np.bool_)
    begins[1:] = (np.diff(log.user_idx) != 0) | (np.diff(log.at) > VISIT_GAP)
    return begins


def _last_of_user(queries: Queries) -> Mask:
    """(B,) whether the next query, of queries in the order of users and times, is another user's."""
    return np.append(queries.user_idx[1:] != queries.user_idx[:-1], True)
