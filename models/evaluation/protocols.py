"""The offline protocols: pure functions of the log, each with a validation split of its own.

Common to all: every rating is a positive, ties of time are broken by the order of the file (the order of
the rows of a Dataset), and a film that the user rated before is no target, since lists leave it out.
Hyper-parameters are fitted on ``validation(split)``, which is made from ``split.train`` alone; then the
models are fitted again on all of ``split.train``.

``leave_one_out`` and ``daily_window`` are also the "very next film" and the "next days" of any log.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from models.dataset import (
    DAY,
    Dataset,
    Ints,
    Longs,
    Mask,
    Queries,
    first_ratings,
    queries_after,
    queries_at,
    rows_before,
)
from models.evaluation.split import Split, day, epoch, span
from models.targets import Targets, offsets

TEMPORAL_CUT = "2003-01-01"
TEMPORAL_VALIDATION_CUT = "2002-07-01"
SUCCESSIVE_QUANTILE = 0.9
SUCCESSIVE_MIN_RATINGS = 5
ROLLING_WINDOWS = (("2000-11-20", "2000-11-26"), ("2001-06-01", "2001-06-30"), ("2002-03-01", "2002-05-31"))
"""First and last day, both inclusive, UTC."""


@dataclass(frozen=True)
class Protocol:
    """A way to split a log, and to split its training part again for validation.

    Raises:
        ValueError: by both functions, when there is nothing to train on or nothing to test.
    """

    splits: Callable[[Dataset], list[Split]]
    validation: Callable[[Split], Split]


def leave_one_out(log: Dataset) -> Split:
    """Each user's last rating is the target; the time of the query is the user's last training event.

    Other users' later events are in the training part. A user with a single rating keeps it there and has
    no query.
    """
    users = np.flatnonzero(np.diff(log.indptr) >= 2).astype(np.int32)
    last = log.indptr[users + 1] - 1
    in_train = np.ones(log.n_events, dtype=np.bool_)
    in_train[last] = False
    train = log.where(in_train)
    new = first_ratings(log)[last]
    users, last = users[new], last[new]
    if not len(users):
        raise ValueError(f"leave-one-out needs users with two ratings; the log has {span(log)}")
    queries = queries_after(train, users)
    return Split("leave-one-out", train, queries, _one_each(log, last), _all_items(log))


def next_films(log: Dataset, n: int) -> Split:
    """Each user's n newest ratings (at most half of them) predicted one by one from all before each.

    As in ``leave_one_out``, of which this is more, the time of a query is that of the user's event before the
    target. Nothing is fitted on any of the n.
    """
    from_last = log.indptr[log.user_idx + 1] - np.arange(log.n_events)  # 1 for the newest
    held_back = from_last <= np.minimum(n, np.diff(log.indptr) // 2)[log.user_idx]
    rows = np.flatnonzero(held_back & first_ratings(log))
    if not len(rows):
        raise ValueError(f"next films need users with two ratings; the log has {span(log)}")
    users = log.user_idx[rows]
    queries = Queries(users, log.at[rows - 1], log.indptr[users], rows, log)
    return Split("next-films", log.where(~held_back), queries, _one_each(log, rows), _all_items(log))


def temporal(log: Dataset, cut: str = TEMPORAL_CUT) -> Split:
    """Train before ``cut`` (a day, UTC); users with a history who rate later have one query, at the cut."""
    moment = epoch(cut)
    train = log.before(moment)
    rows = np.flatnonzero((log.at >= moment) & first_ratings(log) & _has_history(train)[log.user_idx])
    if not len(rows):
        raise ValueError(
            f"temporal-2003 needs users with events on both sides of {cut}; the log has {span(log)}"
        )
    begin = _run_starts(log.user_idx[rows])
    queries = queries_at(train, moment, log.user_idx[rows[begin]])
    return Split("temporal-2003", train, queries, _runs(log, rows, begin), _all_items(log))


def successive(log: Dataset) -> Split:
    """Train up to the 0.9 quantile of time; every later event predicted from the user's earlier ones.

    Items with fewer than 5 ratings over the whole log are removed first, as candidates too: the items of
    the split are numbered anew, and ``Split.items`` maps them back. Models are fitted once, histories
    grow. As in ``leave-one-out`` the time of the target is a secret: that of a query is the time of the
    user's event before it. A user's first event has no history and is no target.

    Source: "successive" targets in Gusak et al. 2025, https://arxiv.org/abs/2507.16289.
    """
    count = np.bincount(log.item_idx, minlength=log.n_items)
    items = np.flatnonzero(count >= SUCCESSIVE_MIN_RATINGS).astype(np.int32)
    return replace(_cut_at_quantile(only_items(log, items)), items=items)


def _cut_at_quantile(log: Dataset) -> Split:
    if not log.n_events:
        raise ValueError(f"successive needs items with {SUCCESSIVE_MIN_RATINGS} ratings; the log has none")
    cut = int(np.quantile(log.at, SUCCESSIVE_QUANTILE)) + 1
    train = log.before(cut)
    rows = np.flatnonzero((log.at >= cut) & first_ratings(log))
    rows = rows[rows > log.indptr[log.user_idx[rows]]]
    if not len(rows):
        raise ValueError(f"successive needs users with several events in time; the log has {span(log)}")
    users = log.user_idx[rows]
    queries = Queries(users, log.at[rows - 1], log.indptr[users], rows, log)
    return Split("successive", train, queries, _one_each(log, rows), _all_items(log))


def rolling(log: Dataset) -> list[Split]:
    """The three windows of ml-1m, each fitted as of its first day."""
    return [daily_window(log, epoch(first), epoch(last) + DAY) for first, last in ROLLING_WINDOWS]


def daily_window(log: Dataset, start: int, end: int) -> Split:
    """Train before ``start``; until ``end``, one query of every active user at the start of each day.

    ``start`` and ``end`` (exclusive) are midnights in epoch seconds. Histories hold all that the user did
    before the day; targets are the films that the user newly rates on it. Slices: ``known`` and
    ``unknown``, whether the training part has the user; an unknown user's first history is empty.
    """
    train, seen = log.before(start), log.before(end)
    rows = np.flatnonzero((seen.at >= start) & first_ratings(seen))
    window = f"{day(start)} to {day(end - 1)}"
    if not train.n_events or not len(rows):
        raise ValueError(f"rolling needs events before and in {window}; the log has {span(log)}")
    users, days = seen.user_idx[rows], (seen.at[rows] - start) // DAY
    begin = _run_starts(users, days)
    users, at = users[begin], start + days[begin] * DAY
    queries = Queries(users, at, seen.indptr[users], rows_before(seen, users, at), seen)
    has_history = _has_history(train)[users]
    return Split(
        "rolling",
        train,
        queries,
        _runs(seen, rows, begin),
        _all_items(log),
        window=day(start),
        slices={"known": has_history, "unknown": ~has_history},
    )


def _window_before(split: Split) -> Split:
    start, end = split.train.as_of, split.queries.log.as_of
    return daily_window(split.train, start - (end - start), start)


PROTOCOLS: dict[str, Protocol] = {
    "leave-one-out": Protocol(lambda log: [leave_one_out(log)], lambda split: leave_one_out(split.train)),
    "temporal-2003": Protocol(
        lambda log: [temporal(log)], lambda split: temporal(split.train, TEMPORAL_VALIDATION_CUT)
    ),
    # Items are not removed again: validation answers over the same candidates as the test.
    "successive": Protocol(lambda log: [successive(log)], lambda split: _cut_at_quantile(split.train)),
    "rolling": Protocol(rolling, _window_before),
}


def _has_history(train: Dataset) -> Mask:
    """(U,) users with training history."""
    return np.diff(train.indptr) > 0


def _all_items(log: Dataset) -> Ints:
    return np.arange(log.n_items, dtype=np.int32)


def only_items(log: Dataset, items: Ints) -> Dataset:
    """The log of some items alone, which are renumbered in the order given (ascending)."""
    number = np.full(log.n_items, -1, dtype=np.int32)
    number[items] = np.arange(len(items), dtype=np.int32)
    part = log.where(number[log.item_idx] >= 0)
    attributes = {name: values[items] for name, values in log.items.items()}
    return replace(part, item_idx=number[part.item_idx], n_items=len(items), items=attributes)


def _one_each(log: Dataset, rows: Longs) -> Targets:
    return Targets(np.arange(len(rows) + 1, dtype=np.int64), log.item_idx[rows])


def _runs(log: Dataset, rows: Longs, begin: Longs) -> Targets:
    """Rows of the log as targets, a query a run."""
    return Targets(offsets(np.diff(np.append(begin, len(rows)))), log.item_idx[rows])


def _run_starts(*keys: Longs | Ints) -> Longs:
    """Positions where a run of rows with equal keys begins; the keys are not empty."""
    new = np.zeros(len(keys[0]), dtype=np.bool_)
    new[0] = True
    for key in keys:
        new[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(new)
