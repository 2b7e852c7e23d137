"""Splits that hold back each user's newest events; other users' later events are in the training part.

``leave_one_out`` is the protocol that most published figures are of. The others ask what of such a figure is
taste, what is the time of the question, and what is the order in which films stood on a page of the site:
many targets share their second with the event before, and events of one second keep the order of the file.
"""

from dataclasses import replace

import numpy as np

from models.dataset import Dataset, Longs, Mask, Queries, first_ratings, queries_after
from models.evaluation.split import Split, all_items, span
from models.targets import in_runs, one_each, run_starts

GAPS = {"0s": 0, "30s": 30, "2min": 120, "30min": 1_800}
"""Names and upper bounds, in seconds, of the gaps between a target and the event before it."""

SHUFFLE_SEED = 0
"""Seed of the order of events of one second, where it is shuffled."""


def leave_one_out(log: Dataset, timed: bool = False) -> Split:
    """Each user's last rating is the target; the time of the query is the user's last training event.

    ``timed``: it is the target's own time, as in the records of models that are told it. A user with a single
    rating keeps it in the training part and has no query. Slices: by GAPS, how long before the target the
    last training event was.
    """
    return _leave_out(log, _from_last(log) == 1, "leave-one-out-timed" if timed else "leave-one-out", timed)


def leave_two_out(log: Dataset) -> Split:
    """Each user's last two ratings are the targets of one query, asked at the event before them."""
    return _leave_out(log, _from_last(log) <= 2, "last-two")


def leave_one_out_shuffled(log: Dataset) -> Split:
    """``leave_one_out`` where events of a user in one second are in a random order, in the histories too."""
    return replace(leave_one_out(shuffled_ties(log, SHUFFLE_SEED)), protocol="leave-one-out-shuffled")


def leave_last_page_out(log: Dataset) -> Split:
    """All ratings of each user's last second, films of one page, are the targets of one query."""
    newest = log.at[log.indptr[log.user_idx + 1] - 1]
    return _leave_out(log, log.at == newest, "leave-last-page-out")


def next_films(log: Dataset, n: int, timed: bool = False) -> Split:
    """Each user's n newest ratings (at most half of them) predicted one by one from all before each.

    As in ``leave_one_out``, of which this is more, the time of a query is that of the user's event before the
    target, or ``timed`` the target's own. Nothing is fitted on any of the n.
    """
    held_back = _from_last(log) <= np.minimum(n, np.diff(log.indptr) // 2)[log.user_idx]
    rows = np.flatnonzero(held_back & first_ratings(log))
    if not len(rows):
        raise ValueError(f"next films need users with two ratings; the log has {span(log)}")
    users = log.user_idx[rows]
    queries = Queries(users, log.at[rows if timed else rows - 1], log.indptr[users], rows, log)
    return Split("next-films", log.where(~held_back), queries, one_each(log, rows), all_items(log))


def shuffled_ties(log: Dataset, seed: int) -> Dataset:
    """The log with each user's events of one time in a random order."""
    order = np.lexsort((np.random.default_rng(seed).random(log.n_events), log.at, log.user_idx))
    return replace(log, item_idx=log.item_idx[order], rating=log.rating[order])


def _from_last(log: Dataset) -> Longs:
    """(E,) 1 for a user's newest event, 2 for the one before, and so on."""
    from_last: Longs = log.indptr[log.user_idx + 1] - np.arange(log.n_events)
    return from_last


def _leave_out(log: Dataset, held_back: Mask, protocol: str, timed: bool = False) -> Split:
    """Rows (E,), the newest of their users, as the targets of one query a user; nobody's whole history."""
    oldest = log.indptr[:-1][np.diff(log.indptr) > 0]
    held_back = held_back & ~np.isin(log.user_idx, log.user_idx[oldest[held_back[oldest]]])
    train = log.where(~held_back)
    rows = np.flatnonzero(held_back & first_ratings(log))
    if not len(rows):
        raise ValueError(
            f"{protocol} needs users with ratings before their last ones; the log has {span(log)}"
        )
    begin = run_starts(log.user_idx[rows])
    queries = queries_after(train, log.user_idx[rows[begin]])
    at = log.at[rows[begin]]
    slices = _by_gap(at - queries.at)
    if timed:
        queries = Queries(queries.user_idx, at, queries.start, queries.end, train)
    return Split(protocol, train, queries, in_runs(log, rows, begin), all_items(log), slices=slices)


def _by_gap(seconds: Longs) -> dict[str, Mask]:
    """(B,) masks of the queries whose target comes so long after the event before it."""
    group = np.searchsorted(list(GAPS.values()), seconds)
    names = [*(f"gap={name}" for name in GAPS), "gap=longer"]
    return {name: group == number for number, name in enumerate(names)}
