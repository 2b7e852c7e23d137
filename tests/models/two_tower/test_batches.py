"""Windows, buckets and collated tensors, against loops over the log."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.dataset import DAY, HOUR, Dataset, Queries, queries_at, queries_before
from models.two_tower.batches import Collator, in_buckets, windows_over
from models.two_tower.config import TowersConfig
from models.two_tower.inputs import (
    GAP_EDGES,
    GAPS,
    item_columns,
    pace_columns,
    schema_of,
    user_columns,
)
from tests.models.recall.small_logs import small_log

ALL = TowersConfig(user_id=True, demographics=True, statistics=True, attributes=True, pace=True, context=True)


@pytest.fixture(scope="module")
def log() -> Dataset:
    return small_log()


def collator(log: Dataset, config: TowersConfig = ALL) -> Collator:
    schema = schema_of(log, config)
    return Collator(log, schema, user_columns(log, schema))


def pairs(rows: np.ndarray) -> dict[int, tuple[int, int]]:
    """For each target row its window and position."""
    found = {}
    for window, position in zip(*np.nonzero(rows >= 0), strict=True):
        assert rows[window, position] not in found
        found[int(rows[window, position])] = (int(window), int(position))
    return found


@settings(max_examples=30)
@given(seed=st.integers(0, 99), newest=st.integers(1, 30), fraction=st.floats(0, 1))
def test_windows_cover_every_wanted_row_once_after_the_rows_before_it(
    seed: int, newest: int, fraction: float
) -> None:
    log = small_log(seed)
    rng = np.random.default_rng(seed)
    wanted = rng.random(log.n_events) < fraction
    windows = windows_over(log, wanted, newest, rng)
    assert ((windows.stop - windows.start) <= newest).all()
    histories = collator(log).histories(windows, wanted)
    rows = histories.row.numpy()
    firsts = np.isin(np.arange(log.n_events), log.indptr[:-1])
    found = pairs(rows)
    assert set(found) == set(np.flatnonzero(wanted & ~firsts))
    codes = histories.inputs["history"].numpy()
    for row, (window, position) in found.items():
        assert histories.target[window, position] == log.item_idx[row]
        assert histories.user[window] == log.user_idx[row]
        # The position holds the event just before its target, and all before it up to the window's start.
        before = log.item_idx[windows.start[window] : row] + 1
        np.testing.assert_array_equal(codes[window, : position + 1], before)
        assert windows.start[window] >= log.indptr[log.user_idx[row]]


def test_a_log_that_fits_is_one_window_and_a_cut_one_reaches_back(log: Dataset) -> None:
    wanted = np.ones(log.n_events, dtype=bool)
    whole = windows_over(log, wanted, 1000, np.random.default_rng(0))
    assert len(whole) == (np.diff(log.indptr) > 1).sum()
    cut = windows_over(log, wanted, 5, np.random.default_rng(0))
    later = cut.first > log.indptr[cut.user] + 6
    assert later.any()
    np.testing.assert_array_equal((cut.stop - cut.start)[later], 5)


def test_cuts_differ_from_epoch_to_epoch(log: Dataset) -> None:
    wanted = np.ones(log.n_events, dtype=bool)
    stops = [windows_over(log, wanted, 5, np.random.default_rng(seed)).stop.tolist() for seed in (0, 1)]
    assert stops[0] != stops[1]


@settings(max_examples=30)
@given(tokens=st.integers(1, 200), seed=st.integers(0, 20))
def test_batches_hold_all_windows_once_within_the_limit(tokens: int, seed: int) -> None:
    log = small_log(seed)
    rng = np.random.default_rng(seed)
    windows = windows_over(log, np.ones(log.n_events, dtype=bool), 12, rng)
    batches = list(in_buckets(windows, tokens, rng))
    met = sorted((int(u), int(s)) for batch in batches for u, s in zip(batch.user, batch.stop, strict=True))
    assert met == sorted((int(u), int(s)) for u, s in zip(windows.user, windows.stop, strict=True))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * batch.longest <= tokens


def test_no_wanted_row_no_batch(log: Dataset) -> None:
    rng = np.random.default_rng(0)
    windows = windows_over(log, np.zeros(log.n_events, dtype=bool), 12, rng)
    assert list(in_buckets(windows, 100, rng)) == []


def test_targets_ahead_are_uniform_over_the_later_rows() -> None:
    log = small_log(n_users=2)
    n = log.n_events
    wanted = np.ones(n, dtype=bool)
    wanted[n - 2] = False
    rng = np.random.default_rng(0)
    times = 400 * (n - 1)
    windows = windows_over(log, wanted, n, rng).take(np.zeros(times, dtype=np.int64))
    ahead = rng.random((times, n - 1), dtype=np.float32)
    drawn = collator(log).histories(windows, wanted, ahead).row[:, 0]
    rows, count = np.unique(drawn, return_counts=True)
    # Rows that may not be targets give no target in position of another one.
    np.testing.assert_array_equal(rows, np.append(-1, np.flatnonzero(wanted)[1:]))
    expected = 400.0
    assert ((count - expected) ** 2 / expected).sum() < 2 * n + 20


def test_statistics_are_those_of_the_history_up_to_each_position(log: Dataset) -> None:
    rng = np.random.default_rng(0)
    wanted = np.ones(log.n_events, dtype=bool)
    windows = windows_over(log, wanted, 5, rng)
    histories = collator(log).histories(windows, wanted)
    for row, (window, position) in pairs(histories.row.numpy()).items():
        history = log.rating[log.indptr[log.user_idx[row]] : row]
        count = histories.inputs["history_events"][window, position].item()
        rating = histories.inputs["history_rating"][window, position].item()
        assert count == pytest.approx(np.log1p(len(history)) / 5)
        assert rating == pytest.approx((history - 3.5).sum() / (len(history) + 5), abs=1e-5)


def test_queries_get_the_inputs_that_training_gave_the_same_histories(log: Dataset) -> None:
    made = collator(log)
    wanted = np.ones(log.n_events, dtype=bool)
    windows = windows_over(log, wanted, 1000, np.random.default_rng(0))
    histories = made.histories(windows, wanted)
    inputs, last = made.queries(queries_before(log, windows.stop), 1000)
    assert inputs.keys() == histories.inputs.keys()
    for name, values in inputs.items():
        given = histories.inputs[name]
        # The moment of a question is one; in training every position asks at its own.
        at_last = values.ndim < given.ndim
        np.testing.assert_array_equal(values, given[np.arange(len(last)), last] if at_last else given)
    np.testing.assert_array_equal(last, windows.stop - windows.start - 1)


def test_a_query_without_history_is_one_position_of_padding(log: Dataset) -> None:
    nothing = np.zeros(2, dtype=np.int64)
    queries = Queries(np.array([3, -1], dtype=np.int32), nothing, nothing, nothing, log)
    inputs, last = collator(log).queries(queries, 10)
    assert inputs["history"].tolist() == [[0], [0]]
    assert last.tolist() == [0, 0]
    assert inputs["user_id"].tolist() == [4, 0]
    assert inputs["user_gender"].tolist() == [log.users["gender"][3] + 1, 0]
    assert inputs["history_events"].tolist() == [[0.0], [0.0]]


def test_columns_and_schema_agree(log: Dataset) -> None:
    schema = schema_of(log, ALL)
    columns = {**user_columns(log, schema), **item_columns(log, schema)}
    for feature in schema.of("user", "item"):
        if feature.kind == "categorical" and feature.name not in (*GAPS, "run"):  # of events, not of users
            assert 0 <= columns[feature.name].min() <= columns[feature.name].max() < feature.size
        if feature.kind == "multi_hot":
            assert columns[feature.name].shape[1] == feature.size
    years = columns["item_year"]
    assert (years[log.items["year"] < 0] == 0).all()
    assert years[log.items["year"] == 1984].tolist() == [17] * (log.items["year"] == 1984).sum()


@pytest.mark.parametrize("ahead", [False, True])
def test_the_moment_of_a_question_is_that_of_its_target_in_training_and_its_own_after(
    log: Dataset, ahead: bool
) -> None:
    rng = np.random.default_rng(0)
    wanted = np.ones(log.n_events, dtype=np.bool_)
    windows = windows_over(log, wanted, 10, rng)
    drawn = rng.random((len(windows), windows.longest)).astype(np.float32) if ahead else None
    histories = collator(log).histories(windows, wanted, drawn)
    inputs = {name: tensor.numpy() for name, tensor in histories.inputs.items()}
    rows = histories.row.numpy()
    for window, position in zip(*np.nonzero(rows >= 0), strict=True):
        row = rows[window, position]
        newest = windows.start[window] + position
        assert inputs["hour"][window, position] == log.at[row] // HOUR % 24 + 1
        assert inputs["weekday"][window, position] == (log.at[row] // DAY + 3) % 7 + 1
        assert inputs["since"][window, position] == gap_code(log.at[row] - log.at[newest])

    queries = queries_at(log)
    of_queries, _ = collator(log).queries(queries, 10)
    assert (of_queries["hour"].numpy() == log.as_of // HOUR % 24 + 1).all()
    since = [gap_code(log.as_of - log.at[end - 1] if end > start else 0)
             for start, end in zip(queries.start, queries.end, strict=True)]  # fmt: skip
    assert of_queries["since"].tolist() == since


def gap_code(seconds: int) -> int:
    return 1 + sum(seconds >= edge for edge in GAP_EDGES.tolist())


@pytest.mark.parametrize("longest", [3, 50])
def test_the_pace_is_that_of_the_newest_events(log: Dataset, longest: int) -> None:
    log = replace(log, at=log.at // 40 * 40)  # many events of one second
    rng = np.random.default_rng(0)
    windows = windows_over(log, np.ones(log.n_events, dtype=np.bool_), longest, rng)
    inputs = collator(log).histories(windows, np.ones(log.n_events, dtype=np.bool_)).inputs
    for window, (user, start, stop) in enumerate(zip(windows.user, windows.start, windows.stop, strict=True)):
        for position in range(stop - start):
            at = log.at[log.indptr[user] : start + position + 1]
            gaps = [gap_code(gap) for gap in np.diff(at)[::-1][:4]] + 4 * [0]
            assert [inputs[name][window, position].item() for name in GAPS] == gaps[:4]
            assert inputs["run"][window, position] == min((at == at[-1]).sum(), 16)

    queries = queries_at(log).alone()
    of_queries, last = collator(queries.log).queries(queries, longest)
    rows = np.arange(len(queries))
    for name in (*GAPS, "run"):
        found = of_queries[name].numpy()[rows, last.numpy()]
        assert found.tolist() == whole_history(log, name).tolist()


def whole_history(log: Dataset, name: str) -> np.ndarray:
    return pace_columns(log.at, log.indptr[:-1], log.indptr[1:])[name]
