"""Replay: every event is scored by what was published before it, then learned from."""

from typing import Any, Self

import numpy as np
import pytest

from models.candidates import Candidates
from models.dataset import DAY, HOUR, Dataset, Longs, Queries
from models.evaluation.bootstrap import BootstrapConfig
from models.pipeline.replay import POLICIES, Replayed, replay, summary, values
from models.state import State

N_ITEMS = 6
START = 10 * DAY


class Counter:
    """Recommends what it counted most; histories do not matter to it, but seen items are left out."""

    def __init__(self) -> None:
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        self.state = {"count": np.bincount(dataset.item_idx, minlength=N_ITEMS).astype(np.float32)}
        return self

    def warm(self, dataset: Dataset, rows: Longs) -> Self:
        return self._count(dataset, rows, 0.5)

    def catch_up(self, dataset: Dataset, rows: Longs) -> Self:
        # The other half: a night needs both.
        return self._count(dataset, rows, 0.5)

    def copy(self) -> Self:
        other = type(self)()
        other.state = dict(self.state)
        return other

    def update(self, dataset: Dataset, rows: Longs) -> Any:
        # A thousandth: the next full training must not go on from it.
        self._count(dataset, rows, 0.001)

    def _count(self, dataset: Dataset, rows: Longs, weight: float) -> Self:
        extra = np.bincount(dataset.item_idx[rows], minlength=N_ITEMS).astype(np.float32)
        self.state = {"count": self.state["count"] + weight * extra}
        return self

    def recommend(self, queries: Queries, n: int) -> Candidates:
        score = np.tile(self.state["count"], (len(queries), 1))
        for row, (start, end) in enumerate(zip(queries.start, queries.end, strict=True)):
            score[row, queries.log.item_idx[start:end]] = -np.inf
        item = np.argsort(-score, axis=1, kind="stable")[:, :n].astype(np.int32)
        found = np.take_along_axis(score, item, 1)
        return Candidates(np.where(np.isfinite(found), item, -1), found)


def log_of(*events: tuple[int, int, int]) -> Dataset:
    """(user, item, time) in any order."""
    events = tuple(sorted(events, key=lambda event: (event[0], event[2])))
    user, item, at = (np.array(column) for column in zip(*events, strict=True))
    rating = np.ones(len(at), dtype=np.float32)
    return Dataset(user.astype(np.int32), item.astype(np.int32), rating, at, 4, N_ITEMS, int(at.max()) + 1)


PAST = ((0, 0, 10), (0, 1, 20), (1, 0, 30), (2, 0, 40), (2, 1, 50))
"""Counts: 3 of item 0, 2 of item 1."""


def replayed_days(log: Dataset, days: int = 2, n: int = N_ITEMS) -> Replayed:
    return replay(log, START, START + days * DAY, Counter, n)


def test_ranks_by_hand() -> None:
    noon = START + 12 * HOUR
    log = log_of(*PAST, (1, 3, noon), (2, 3, noon + HOUR), (1, 5, noon + 2 * HOUR), (1, 4, START + DAY + 60))
    found = replayed_days(log)
    assert found.at.tolist() == [noon, noon + HOUR, noon + 2 * HOUR, START + DAY + 60]
    # Lists at the start, seen items left out: user 1 has 1 2 3 4 5, user 2 has 2 3 4 5.
    assert found.rank0["no update"].tolist() == [2, 1, 4, 3]
    # User 1's list no longer holds item 3 an hour after, nor item 5 the day after.
    assert found.rank0["hourly refresh"].tolist() == [2, 1, 3, 2]
    # Learning moves item 3, which user 1 watched, but user 2's list was published before that.
    assert found.rank0["hourly learning"].tolist() == [2, 1, 3, 2]
    # The night counts 3 twice and 5 once, and lists of user 1 leave both out.
    assert found.rank0["nightly"].tolist() == [2, 1, 4, 2]


def test_hourly_learning_changes_the_next_list_and_full_training_forgets_it() -> None:
    noon = START + 12 * HOUR
    log = log_of(*PAST, (1, 5, noon), (2, 2, noon), (2, 5, noon + 2 * HOUR), (0, 4, START + DAY + 60))
    found = replayed_days(log)
    assert found.rank0["hourly refresh"].tolist() == [4, 0, 2, 2]
    # After noon item 5 counts more than 3 and 4: user 2's refreshed list has 5 first.
    assert found.rank0["hourly learning"].tolist()[2] == 0
    # 2, 5, 5 by night, the hourly thousandths gone: user 0 has 5 2 3 4.
    assert found.rank0["nightly, hourly learning"].tolist()[3] == 3


def test_events_in_one_hour_are_scored_by_the_same_list() -> None:
    log = log_of(*PAST, (1, 1, START + 60), (1, 2, START + 120))
    assert replayed_days(log, 1).rank0["hourly learning"].tolist() == [0, 1]


def test_a_film_rated_again_is_no_target() -> None:
    log = log_of(*PAST, (1, 0, START + 60), (1, 1, START + 90))
    assert replayed_days(log, 1).at.tolist() == [START + 90]


def test_newcomers_get_a_list_of_their_own_once_they_did_something() -> None:
    log = log_of(*PAST, (3, 1, START + 60), (3, 5, START + 2 * HOUR))
    found = replayed_days(log, 1, n=3)
    assert found.has_history.tolist() == [False, False]
    assert found.rank0["no update"].tolist() == [1, -1]
    assert found.rank0["hourly learning"].tolist() == [1, -1]
    assert replayed_days(log, 1, n=5).rank0["hourly learning"].tolist() == [1, 4]


def test_future_events_change_nothing() -> None:
    now = ((1, 3, START + HOUR), (2, 3, START + 5 * HOUR))
    later = ((0, 5, START + DAY), (1, 5, START + 3 * DAY))
    alone, followed = replayed_days(log_of(*PAST, *now), 1), replayed_days(log_of(*PAST, *now, *later), 1)
    for name in POLICIES:
        assert alone.rank0[name].tolist() == followed.rank0[name].tolist()


def test_nothing_to_replay_is_refused() -> None:
    with pytest.raises(ValueError, match="before and in its time"):
        replayed_days(log_of(*PAST))


def test_summary_against_plain_means() -> None:
    rng = np.random.default_rng(0)
    n = 400
    user = rng.integers(0, 40, n).astype(np.int32)
    rank0 = {name: rng.integers(-1, 50, n).astype(np.int32) for name in ("a", "b")}
    has_history = user % 3 > 0
    replayed = Replayed(user, np.arange(n), has_history, rank0)
    rows = {(r.policy, r.slice, r.metric): r for r in summary(replayed, "a", BootstrapConfig(resamples=200))}
    for part, mask in (("all", has_history | True), ("known", has_history), ("new", ~has_history)):
        hit = (rank0["b"] >= 0) & (rank0["b"] < 10)
        row = rows["b", part, "hr@10"]
        assert row.value == pytest.approx(hit[mask].mean())
        assert row.ci_low < row.value < row.ci_high
        base = ((rank0["a"] >= 0) & (rank0["a"] < 10))[mask].mean()
        assert row.difference.value == pytest.approx(hit[mask].mean() - base)
        assert row.n_events == mask.sum()
        assert (
            rows["a", part, "ndcg@10"].difference.ci_low == 0 == rows["a", part, "ndcg@10"].difference.ci_high
        )


def test_values_of_ranks() -> None:
    expected = [[1, 1, 1], [1, 1 / np.log2(11), 1], [0, 0, 1], [0, 0, 0]]
    assert values(np.array([0, 9, 10, -1], dtype=np.int32)) == pytest.approx(np.array(expected))
