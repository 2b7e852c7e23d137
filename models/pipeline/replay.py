"""Living through past days: what would people have seen, and was the film they then chose in their list?

Every hour the events of that hour are scored by the lists that were published before it; only then are they
learned from. Policies differ in what happens in between. All start from one model, trained from scratch on
what was before the first hour, and all full retrainings go on from the last full one, never from the hourly
updates, so policies that retrain share them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.dataset import DAY, HOUR, Dataset, Doubles, Ints, Longs, Mask, Queries, first_ratings, queries_at
from models.evaluation.bootstrap import BootstrapConfig, percentile_interval, resampled_ratios
from models.evaluation.split import span
from models.recall.contract import Incremental, Recaller
from models.recall.segment import Segment


@dataclass(frozen=True)
class Policy:
    """The updates between the events."""

    refresh: bool
    """Every hour, whoever did something gets a new list from the history up to now."""
    update: bool
    """Every hour, before that, the ID embeddings learn the hour's events."""
    nightly: bool
    """Every midnight the last full model learns the day, and everybody gets a new list."""


POLICIES = {
    "no update": Policy(refresh=False, update=False, nightly=False),
    "hourly refresh": Policy(refresh=True, update=False, nightly=False),
    "hourly learning": Policy(refresh=True, update=True, nightly=False),
    "nightly": Policy(refresh=False, update=False, nightly=True),
    "nightly, hourly refresh": Policy(refresh=True, update=False, nightly=True),
    "nightly, hourly learning": Policy(refresh=True, update=True, nightly=True),
}

METRICS = ("hr@10", "ndcg@10", "recall@50")
"""Metrics of single events: the film was among the first 10; discounted by rank; among the first 50."""

SLICES = ("all", "known", "new")
"""All users; those with a rating before the day of the event; those new on that day."""


@dataclass(frozen=True)
class Replayed:
    """N events in order of time, and the rank that each policy's list gave their film."""

    user_idx: Ints  # (N,)
    at: Longs  # (N,) epoch seconds
    has_history: Mask  # (N,) the user had rated something before the day
    rank0: Mapping[str, Ints]  # policy -> (N,) from 0, -1 for not in the list


@dataclass(frozen=True)
class ControlDifference:
    """A value less that of the control; they differ if 0 is outside the interval."""

    value: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class ReplayRow:
    """A metric of one policy, and how it differs from that of the control on the same events."""

    policy: str
    slice: str
    metric: str
    value: float
    ci_low: float
    ci_high: float
    difference: ControlDifference
    n_users: int
    n_events: int


def replay(
    log: Dataset,
    start: int,
    end: int,
    build: Callable[[], Incremental],
    n: int = 50,
    progress: Callable[[str], None] = lambda line: None,
) -> Replayed:
    """Live from ``start`` to ``end`` (midnights in epoch seconds, end exclusive) under every policy.

    Lists have n films. Users without a history get the list of their segment until one is published for
    them.

    Raises:
        ValueError: nothing was rated before or in that time.
    """
    scored = _by_time(log, first_ratings(log) & (log.at >= start) & (log.at < end))
    if not len(scored) or not (log.at < start).any():
        raise ValueError(f"a replay needs ratings before and in its time; the log has {span(log)}")
    full = build().fit(log.before(start))
    first = _first_lists(log.before(start), full, n)
    lists = dict.fromkeys(POLICIES, first)
    models = dict.fromkeys(POLICIES, full)
    rank0: dict[str, list[Ints]] = {name: [] for name in POLICIES}
    for hour in range(start, end, HOUR):
        if hour > start and hour % DAY == 0:
            progress(f"retraining at {np.datetime64(hour, 's')}")
            day = _since(log, hour - DAY, hour)
            full = full.copy().catch_up(*day).warm(*day)
            everybody = _lists(full, queries_at(log.before(hour)), first, n)
            models |= {name: full for name, policy in POLICIES.items() if policy.nightly}
            lists |= {name: everybody for name, policy in POLICIES.items() if policy.nightly}
        now = scored[(log.at[scored] >= hour) & (log.at[scored] < hour + HOUR)]
        for name, policy in POLICIES.items():
            rank0[name].append(_rank0(lists[name][log.user_idx[now]], log.item_idx[now]))
            if policy.refresh:
                models[name], lists[name] = _hour(log, hour, policy, models[name], lists[name])
    found = {name: np.concatenate(parts) for name, parts in rank0.items()}
    return Replayed(log.user_idx[scored], log.at[scored], _has_history(log, scored), found)


def summary(replayed: Replayed, control: str, bootstrap: BootstrapConfig | None = None) -> list[ReplayRow]:
    """Every policy by slice and metric, paired with the control, with user-bootstrap intervals."""
    bootstrap = bootstrap or BootstrapConfig()
    users, user = np.unique(replayed.user_idx, return_inverse=True)
    rows = []
    for part, mask in zip(SLICES, (None, replayed.has_history, ~replayed.has_history), strict=True):
        chosen = np.ones(len(user), dtype=np.bool_) if mask is None else mask
        if not chosen.any():
            continue
        size = np.bincount(user[chosen], minlength=len(users)).astype(np.float64)
        base = _sums(replayed.rank0[control], user, chosen, len(users))
        for name, rank0 in replayed.rank0.items():
            sums = _sums(rank0, user, chosen, len(users))
            metrics = _metrics(np.concatenate([sums, sums - base], axis=1), size, bootstrap)
            for number, metric in enumerate(METRICS):
                value, low, high = metrics[:, number].tolist()
                paired = ControlDifference(*metrics[:, number + len(METRICS)].tolist())
                counts = int((size > 0).sum()), int(size.sum())
                rows.append(ReplayRow(name, part, metric, value, low, high, paired, *counts))
    return rows


def values(rank0: Ints) -> Doubles:
    """(N, 3) the METRICS of each event from its rank0."""
    listed = rank0 >= 0
    hit = listed & (rank0 < 10)
    return np.stack([hit, hit / np.log2(rank0 + 2.0, where=hit, out=np.ones(len(rank0))), listed], axis=1)


def _sums(rank0: Ints, user: NDArray[np.intp], chosen: Mask, n_users: int) -> Doubles:
    """(U, 3) sums a user over the chosen events."""
    metrics = values(rank0)[chosen]
    return np.stack([np.bincount(user[chosen], column, n_users) for column in metrics.T], axis=1)


def _metrics(sums: Doubles, size: Doubles, bootstrap: BootstrapConfig) -> Doubles:
    """(3, M): means over events with the bounds of their intervals."""
    denominator = np.repeat(size[:, None], sums.shape[1], axis=1)
    resampled = resampled_ratios(sums, denominator, bootstrap)
    return np.stack([sums.sum(0) / size.sum(), *percentile_interval(resampled, bootstrap.level)])


def _hour(
    log: Dataset, hour: int, policy: Policy, model: Incremental, lists: Ints
) -> tuple[Incremental, Ints]:
    """The model and the lists at the end of an hour."""
    seen, rows = _since(log, hour, hour + HOUR)
    if not len(rows):
        return model, lists
    if policy.update:
        model = model.copy()
        model.update(seen, rows)
    return model, _lists(model, queries_at(seen, users=np.unique(seen.user_idx[rows])), lists, lists.shape[1])


def _since(log: Dataset, start: int, end: int) -> tuple[Dataset, Longs]:
    """The log before ``end`` and its rows from ``start`` on."""
    seen = log.before(end)
    return seen, np.flatnonzero(seen.at >= start)


def _first_lists(past: Dataset, model: Recaller, n: int) -> Ints:
    """(U, n)"""
    queries = queries_at(past)
    return _lists(model, queries, Segment().fit(past).recommend(queries, n).item, n)


def _lists(model: Recaller, queries: Queries, lists: Ints, n: int) -> Ints:
    """The lists (U, n) with new ones for the users of the queries who have a history."""
    with_history = queries.take(np.flatnonzero(queries.end > queries.start))
    updated = lists.copy()
    updated[with_history.user_idx] = model.recommend(with_history, n).item
    return updated


def _rank0(lists: Ints, item: Ints) -> Ints:
    """(B,) the rank0 of each item in its list (B, n), -1 for not in the list."""
    found = lists == item[:, None]
    return np.where(found.any(axis=1), found.argmax(axis=1), -1).astype(np.int32)


def _by_time(log: Dataset, chosen: Mask) -> Longs:
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(log.at[rows], kind="stable")]


def _has_history(log: Dataset, rows: Longs) -> Mask:
    """(N,) whether the user of each row had rated anything before the day of the row."""
    first = np.full(log.n_users, np.iinfo(np.int64).max)
    np.minimum.at(first, log.user_idx, log.at)
    return first[log.user_idx[rows]] < log.at[rows] // DAY * DAY
