"""The offline protocols: pure functions of the log, each with a validation split of its own.

Common to all: every rating is a positive, ties of time are broken by the order of the file (the order of
the rows of a Dataset), and a film that the user rated before is no target, since lists leave it out.
Hyper-parameters are fitted on ``validation(split)``, which is made from ``split.train`` alone; then the
models are fitted again on all of ``split.train``.

``daily_window`` is also the "next days" of any log, as ``leave_out.next_films`` is the "very next film".
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from models.dataset import DAY, Dataset, Ints, Queries, first_ratings, queries_at, rows_before
from models.evaluation.leave_out import (
    leave_last_page_out,
    leave_one_out,
    leave_one_out_shuffled,
    leave_two_out,
)
from models.evaluation.split import Split, all_items, day, epoch, has_history, span
from models.evaluation.visits import PAST, next_visit
from models.targets import in_runs, one_each, run_starts

TEMPORAL_CUT = "2003-01-01"
TEMPORAL_VALIDATION_CUT = "2002-07-01"
QUARTER = np.timedelta64(3, "M")
QUARTERS = np.arange("2001-01", "2003-04", QUARTER, dtype="datetime64[M]")
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


def temporal(log: Dataset, cut: str = TEMPORAL_CUT) -> Split:
    """Train before ``cut`` (a day, UTC); users with a history who rate later have one query, at the cut."""
    return _ahead(log, epoch(cut), max(log.as_of, epoch(cut)), "temporal-2003")


def months_ahead(log: Dataset) -> list[Split]:
    """The same at the beginning of nine quarters, for what is rated in each.

    Each quarter has hundreds of users with a history, ``temporal-2003`` 178, half of whose events are of ten.
    """
    return [replace(_quarter(log, first), window=str(first)) for first in QUARTERS]


def _quarter(log: Dataset, first: np.datetime64) -> Split:
    return _ahead(log, _seconds(first), _seconds(first + QUARTER), "months-ahead")


def _seconds(month: np.datetime64) -> int:
    return int(month.astype("datetime64[s]").astype(np.int64))


def _quarter_before(split: Split) -> Split:
    first = np.datetime64(split.train.as_of, "s").astype("datetime64[M]")
    return _quarter(split.train, first - QUARTER)


def _ahead(log: Dataset, start: int, end: int, protocol: str) -> Split:
    train = log.before(start)
    candidates = (log.at >= start) & (log.at < end) & first_ratings(log)
    rows = np.flatnonzero(candidates & has_history(train)[log.user_idx])
    if not len(rows):
        raise ValueError(
            f"{protocol} needs users with events on both sides of {day(start)}; the log has {span(log)}"
        )
    begin = run_starts(log.user_idx[rows])
    queries = queries_at(train, start, log.user_idx[rows[begin]])
    return Split(protocol, train, queries, in_runs(log, rows, begin), all_items(log))


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
    cut = int(np.quantile(log.at, PAST)) + 1
    train = log.before(cut)
    rows = np.flatnonzero((log.at >= cut) & first_ratings(log))
    rows = rows[rows > log.indptr[log.user_idx[rows]]]
    if not len(rows):
        raise ValueError(f"successive needs users with several events in time; the log has {span(log)}")
    users = log.user_idx[rows]
    queries = Queries(users, log.at[rows - 1], log.indptr[users], rows, log)
    return Split("successive", train, queries, one_each(log, rows), all_items(log))


def only_items(log: Dataset, items: Ints) -> Dataset:
    """The log of some items alone, which are renumbered in the order given (ascending)."""
    number = np.full(log.n_items, -1, dtype=np.int32)
    number[items] = np.arange(len(items), dtype=np.int32)
    part = log.where(number[log.item_idx] >= 0)
    attributes = {name: values[items] for name, values in log.items.items()}
    return replace(part, item_idx=number[part.item_idx], n_items=len(items), items=attributes)


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
    if not train.n_events:
        raise ValueError(f"rolling needs events before {window}; the log has {span(log)}")
    if not len(rows):
        raise ValueError(f"rolling needs ratings of films new to their users in {window}; the log has none")
    users, days = seen.user_idx[rows], (seen.at[rows] - start) // DAY
    begin = run_starts(users, days)
    users, at = users[begin], start + days[begin] * DAY
    queries = Queries(users, at, seen.indptr[users], rows_before(seen, users, at), seen)
    in_train = has_history(train)[users]
    return Split(
        "rolling",
        train,
        queries,
        in_runs(seen, rows, begin),
        all_items(log),
        window=day(start),
        slices={"known": in_train, "unknown": ~in_train},
    )


def _window_before(split: Split) -> Split:
    start, end = split.train.as_of, split.queries.log.as_of
    return daily_window(split.train, start - (end - start), start)


def _alone(split_of: Callable[[Dataset], Split]) -> Protocol:
    """A protocol of one split; validation splits its training part in the same way."""
    return Protocol(lambda log: [split_of(log)], lambda split: split_of(split.train))


PROTOCOLS: dict[str, Protocol] = {
    "leave-one-out": _alone(leave_one_out),
    "leave-one-out-timed": _alone(partial(leave_one_out, timed=True)),
    "leave-one-out-shuffled": _alone(leave_one_out_shuffled),
    "leave-last-page-out": _alone(leave_last_page_out),
    "last-two": _alone(leave_two_out),
    "next-visit": _alone(next_visit),
    "temporal-2003": Protocol(
        lambda log: [temporal(log)], lambda split: temporal(split.train, TEMPORAL_VALIDATION_CUT)
    ),
    # Items are not removed again: validation answers over the same candidates as the test.
    "successive": Protocol(lambda log: [successive(log)], lambda split: _cut_at_quantile(split.train)),
    "rolling": Protocol(rolling, _window_before),
    "months-ahead": Protocol(months_ahead, _quarter_before),
}
