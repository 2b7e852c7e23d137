"""Splits counted by hand, and what must hold of every split of any log."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.dataset import DAY, Dataset, rows_beyond
from models.evaluation.leave_out import (
    leave_last_page_out,
    leave_one_out,
    leave_one_out_shuffled,
    leave_two_out,
    next_films,
)
from models.evaluation.protocols import (
    PROTOCOLS,
    QUARTERS,
    ROLLING_WINDOWS,
    daily_window,
    months_ahead,
    rolling,
    successive,
    temporal,
)
from models.evaluation.row_splits import (
    CTR_PROTOCOLS,
    ctr_last,
    ctr_random,
    liked,
)
from models.evaluation.split import Split, epoch
from models.evaluation.visits import FIRST_PAGE, VISIT_GAP, next_visit
from tests.models.evaluation.logs import answers, log_of, random_log

SEEDS = st.integers(0, 2**32)


def histories(split: Split) -> list[list[int]]:
    """The items of each history."""
    queries = split.queries
    return [queries.log.item_idx[b:e].tolist() for b, e in zip(queries.start, queries.end, strict=True)]


def wanted(split: Split) -> list[list[int]]:
    return [part.tolist() for part in np.split(split.targets.item, split.targets.indptr[1:-1])]


def pairs(log: Dataset) -> list[tuple[int, int]]:
    return list(zip(log.user_idx.tolist(), log.item_idx.tolist(), strict=True))


def noon(day: str) -> int:
    return epoch(day) + DAY // 2


def test_leave_one_out_by_hand() -> None:
    log = log_of(
        ("2000-01-01", 0, 5),
        ("2000-01-03", 0, 2),
        ("2000-01-03", 0, 1),  # a tie: the later line of the file is the later event
        ("2000-06-01", 1, 3),  # a single rating: learned from, no query
        ("2000-01-01", 2, 4),
        ("2000-02-01", 2, 4),  # rated again: held out, but nobody's target
        ("2009-01-01", 3, 0),
        ("2009-01-02", 3, 1),
    )
    split = leave_one_out(log)
    assert split.queries.user_idx.tolist() == [0, 3]
    assert wanted(split) == [[1], [1]]
    assert histories(split) == [[5, 2], [0]]
    assert split.queries.at.tolist() == [noon("2000-01-03"), noon("2009-01-01")]
    assert pairs(split.train) == [(0, 5), (0, 2), (1, 3), (2, 4), (3, 0)]
    assert split.train.as_of == log.as_of


def at_seconds(*events: tuple[int, int, int]) -> Dataset:
    """A log of events (second, user, item)."""
    log = log_of(*(("2001-01-01", user, item) for _, user, item in events))
    seconds = [second for user in range(log.n_users) for second, by, _ in events if by == user]
    return replace(log, at=log.at + np.array(seconds), as_of=log.as_of + max(seconds))


def test_a_timed_query_is_at_its_target() -> None:
    log = at_seconds((0, 0, 1), (10, 0, 2), (75, 0, 3), (0, 1, 1), (0, 1, 2))
    plain, timed = leave_one_out(log), leave_one_out(log, timed=True)
    start = noon("2001-01-01")
    assert plain.queries.at.tolist() == [start + 10, start]
    assert timed.queries.at.tolist() == [start + 75, start]
    assert histories(timed) == histories(plain)
    assert wanted(timed) == wanted(plain)
    assert timed.protocol == "leave-one-out-timed"


def test_slices_go_by_the_gap_before_the_target() -> None:
    gaps = [0, 1, 30, 31, 120, 121, 1_800, 1_801]
    events = [(second, user, item) for user, gap in enumerate(gaps) for item, second in enumerate((0, gap))]
    slices = leave_one_out(at_seconds(*events)).slices
    names = ["gap=0s", "gap=30s", "gap=30s", "gap=2min", "gap=2min", "gap=30min", "gap=30min", "gap=longer"]
    for user, name in enumerate(names):
        assert [other for other, mask in slices.items() if mask[user]] == [name]


def test_the_last_two_films_are_targets_together() -> None:
    log = at_seconds(
        (0, 0, 1), (5, 0, 2), (9, 0, 3), (20, 0, 4), (0, 1, 1), (1, 1, 2), (0, 2, 5), (1, 2, 6), (2, 2, 5)
    )
    split = leave_two_out(log)
    # Two ratings alone are learned from; a film rated again is nobody's target.
    assert split.queries.user_idx.tolist() == [0, 2]
    assert (wanted(split), histories(split)) == ([[3, 4], [6]], [[1, 2], [5]])
    assert split.queries.at.tolist() == [noon("2001-01-01") + 5, noon("2001-01-01")]
    assert pairs(split.train) == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 5)]


def test_the_last_page_is_all_films_of_the_last_second() -> None:
    log = at_seconds((0, 0, 1), (5, 0, 2), (9, 0, 3), (9, 0, 4), (0, 1, 1), (0, 1, 2))
    split = leave_last_page_out(log)
    assert (split.queries.user_idx.tolist(), wanted(split), histories(split)) == ([0], [[3, 4]], [[1, 2]])
    assert pairs(split.train) == [(0, 1), (0, 2), (1, 1), (1, 2)]


def test_shuffling_moves_films_within_their_second_alone() -> None:
    log = random_log(6, "2001-01-01", "2001-01-10")  # many at one time
    split = leave_one_out_shuffled(log)
    assert split.digest() == leave_one_out_shuffled(log).digest()
    target_of = dict(zip(split.queries.user_idx.tolist(), wanted(split), strict=True))
    moved = 0
    for user, (target,) in target_of.items():
        mine = log.user_idx == user
        newest = log.item_idx[mine & (log.at == log.at[mine].max())].tolist()
        assert target in newest
        moved += target != newest[-1]
        left = split.train.item_idx[split.train.user_idx == user].tolist()
        assert sorted([*left, target]) == sorted(log.item_idx[mine].tolist())
    assert moved


def test_next_visit_by_hand() -> None:
    early = [(second, 9, second) for second in range(120)]
    day = 100_000
    log = at_seconds(
        *early,
        (0, 0, 1),
        (day, 0, 2),
        (day + FIRST_PAGE, 0, 3),
        (day + FIRST_PAGE + 1, 0, 4),  # of the visit, but after its first page
        (day + FIRST_PAGE + 1 + VISIT_GAP, 0, 5),  # a gap that is not too long
        (day + FIRST_PAGE + 2 + 2 * VISIT_GAP, 0, 6),
        (day, 1, 7),  # a first visit follows no gap
        (2 * day, 1, 8),
        (2 * day, 1, 7),
    )
    split = next_visit(log)
    assert split.queries.user_idx.tolist() == [0, 0, 1]
    assert wanted(split) == [[2, 3], [6], [8]]
    assert histories(split) == [[1], [1, 2, 3, 4, 5], [7]]
    seconds = (split.queries.at - noon("2001-01-01")).tolist()
    assert seconds == [day, day + FIRST_PAGE + 2 + 2 * VISIT_GAP, 2 * day]
    assert split.slices["known"].tolist() == [True, True, False]
    assert split.slices["last"].tolist() == [False, True, True]
    assert set(split.train.user_idx.tolist()) == {0, 9}


def test_months_ahead_asks_for_the_films_of_each_quarter() -> None:
    log = busy_log(5)
    splits = months_ahead(log)
    assert [split.window for split in splits] == [str(first) for first in QUARTERS]
    assert splits[-1].digest() != temporal(log).digest()  # another name
    assert (splits[-1].targets.item == temporal(log).targets.item).all()
    for split, start, end in zip(splits, QUARTERS, [*QUARTERS[1:], np.datetime64("2003-04")], strict=True):
        start_at, end_at = epoch(f"{start}-01"), epoch(f"{end}-01")
        for user, films in zip(split.queries.user_idx, wanted(split), strict=True):
            mine = log.user_idx == user
            past = set(log.item_idx[mine & (log.at < start_at)].tolist())
            rated = set(log.item_idx[mine & (log.at >= start_at) & (log.at < end_at)].tolist())
            assert past
            assert set(films) == rated - past
        validation = PROTOCOLS["months-ahead"].validation(split)
        assert validation.train.as_of == epoch(f"{start - np.timedelta64(3, 'M')}-01")


def test_temporal_by_hand() -> None:
    log = log_of(
        ("2002-01-01", 0, 0),
        ("2002-12-31", 0, 1),
        ("2003-01-01", 0, 2),
        ("2003-01-02", 0, 2),
        ("2003-01-03", 0, 0),
        ("2003-01-04", 0, 3),
        ("2003-01-01", 1, 1),  # no history
        ("2002-01-01", 2, 1),  # no test event
    )
    split = temporal(log)
    assert (split.queries.user_idx.tolist(), wanted(split), histories(split)) == ([0], [[2, 3]], [[0, 1]])
    assert split.queries.at.tolist() == [split.train.as_of] == [epoch("2003-01-01")]
    assert pairs(split.train) == [(0, 0), (0, 1), (2, 1)]


def test_successive_by_hand() -> None:
    # Ten users rate item 1, then item 3; item 0 has too few ratings. Nine tenths of the times are past.
    early = [("2000-01-01", user, item) for item in (1, 3) for user in range(10)]
    log = log_of(
        *early,
        ("2000-02-01", 0, 2),
        ("2000-02-01", 0, 4),
        ("2000-02-02", 11, 4),  # first event of a user: no history, no target, but history of the next
        ("2000-02-03", 11, 0),
        ("2000-02-04", 11, 2),
        *[("1999-01-01", user, item) for item in (2, 4) for user in range(20, 25)],
    )
    split = successive(log)
    assert split.items.tolist() == [1, 2, 3, 4]
    assert split.train.n_items == 4
    assert split.train.items["year"].tolist() == [1951, 1952, 1953, 1954]
    assert split.queries.user_idx.tolist() == [0, 0, 11]
    assert [[int(split.items[i]) for i in row] for row in wanted(split)] == [[2], [4], [2]]
    assert [[int(split.items[i]) for i in row] for row in histories(split)] == [[1, 3], [1, 3, 2], [4]]
    assert split.queries.at.tolist() == [noon("2000-01-01"), noon("2000-02-01"), noon("2000-02-02")]
    assert split.train.n_events == 30


def test_successive_trains_on_the_event_at_the_cut() -> None:
    # Eleven events at eleven times: the 0.9 quantile is the time of the tenth.
    users_and_items = [(user, item) for item in (0, 1) for user in range(5)] + [(5, 0), (5, 1)]
    events = [(f"2000-01-{day + 1:02}", *pair) for day, pair in enumerate(users_and_items[1:])]
    split = successive(log_of(*events))
    assert split.train.n_events == 10
    assert wanted(split) == [[1]]


def test_daily_window_by_hand() -> None:
    log = log_of(
        ("2001-05-31", 0, 0),
        ("2001-06-01", 0, 1),
        ("2001-06-01", 0, 2),
        ("2001-06-02", 0, 2),  # only a film rated again: no query that day
        ("2001-06-03", 0, 0),
        ("2001-06-03", 0, 3),
        ("2001-06-02", 1, 4),
        ("2001-06-03", 1, 5),
        ("2001-06-04", 0, 5),  # after the window
    )
    split = daily_window(log, epoch("2001-06-01"), epoch("2001-06-04"))
    assert pairs(split.train) == [(0, 0)]
    assert split.queries.user_idx.tolist() == [0, 0, 1, 1]
    days = [epoch(day) for day in ("2001-06-01", "2001-06-03", "2001-06-02", "2001-06-03")]
    assert split.queries.at.tolist() == days
    assert histories(split) == [[0], [0, 1, 2, 2], [], [4]]
    assert wanted(split) == [[1, 2], [3], [4], [5]]
    assert split.slices["known"].tolist() == [True, True, False, False]
    assert split.slices["unknown"].tolist() == [False, False, True, True]
    assert split.window == "2001-06-01"


def test_rolling_asks_in_its_three_windows_and_validates_in_the_one_before() -> None:
    log = random_log(3, "2000-10-01", "2002-08-01", n_users=40, n_items=2000, n_events=8000)
    splits = rolling(log)
    assert [split.window for split in splits] == [first for first, _ in ROLLING_WINDOWS]
    for split, (first, last) in zip(splits, ROLLING_WINDOWS, strict=True):
        assert split.train.as_of == epoch(first)
        assert (split.queries.at.min(), split.queries.at.max()) == (epoch(first), epoch(last))
        validation = PROTOCOLS["rolling"].validation(split)
        length = epoch(last) + DAY - epoch(first)
        assert validation.train.as_of == epoch(first) - length
        assert validation.queries.at.max() == epoch(first) - DAY


def busy_log(seed: int) -> Dataset:
    return random_log(seed, "2000-08-01", "2003-03-01", n_users=15, n_items=600, n_events=3000)


@pytest.mark.parametrize("name", PROTOCOLS)
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_every_split_and_its_validation_are_sound(name: str, seed: int) -> None:
    protocol = PROTOCOLS[name]
    for test in protocol.splits(busy_log(seed)):
        for split in (test, protocol.validation(test)):
            queries = split.queries
            for b, (history, targets) in enumerate(zip(histories(split), wanted(split), strict=True)):
                rows = slice(queries.start[b], queries.end[b])
                assert (queries.log.user_idx[rows] == queries.user_idx[b]).all()
                assert (queries.log.at[rows] <= queries.at[b]).all()
                assert not set(history) & set(targets)
                assert len(set(targets)) == len(targets)
            assert (split.train.at < split.train.as_of).all()
            assert split.train.n_items == len(split.items)


@pytest.mark.parametrize("name", PROTOCOLS)
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_validation_sees_nothing_of_the_test(name: str, seed: int) -> None:
    """Whatever the queries and targets, the training part alone decides the validation split."""
    protocol = PROTOCOLS[name]
    for split in protocol.splits(busy_log(seed)):
        later = split.queries.log
        nothing = later.where(np.zeros(later.n_events, dtype=np.bool_))
        blind = replace(split, targets=answers([[0]]), queries=replace(split.queries, log=nothing))
        assert protocol.validation(blind).digest() == protocol.validation(split).digest()


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, cut=st.integers(epoch("2003-01-02") // DAY, epoch("2003-03-01") // DAY))
def test_later_events_change_no_training_part(seed: int, cut: int) -> None:
    log = busy_log(seed)
    now = log.before(cut * DAY)
    assert pairs(temporal(now).train) == pairs(temporal(log).train)
    for before, after in zip(rolling(now), rolling(log), strict=True):
        assert before.digest() == after.digest()


def test_digest_tells_splits_apart() -> None:
    log = busy_log(0)
    swapped = log.item_idx.copy()
    swapped[:2] = swapped[1::-1]
    changed = replace(log, item_idx=swapped)
    assert swapped[0] != swapped[1]
    later = replace(log, as_of=log.as_of + 1)
    digests = {leave_one_out(x).digest() for x in (log, replace(log), changed, later)}
    assert len(digests | {temporal(log).digest()}) == 4


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_log_without_test_events_is_refused_with_what_it_has(name: str) -> None:
    log = log_of(("1997-09-20", 0, 0), ("1997-09-20", 1, 1), ("1998-04-22", 2, 2))
    with pytest.raises(ValueError, match=r"1997-09-20 to 1998-04-22|the log has none"):
        PROTOCOLS[name].splits(log)


def test_rolling_outside_the_log_names_window_and_span() -> None:
    with pytest.raises(ValueError, match=r"2000-11-20 to 2000-11-26.*2000-11-27 to 2000-12-"):
        rolling(random_log(0, "2000-11-27", "2000-12-10"))


def test_rolling_without_a_film_that_is_new_to_its_user_says_so() -> None:
    log = random_log(0, "2000-11-01", "2000-11-10")
    with pytest.raises(ValueError, match=r"new to their users in 2000-11-20 to 2000-11-26; the log has none"):
        rolling(log)


def test_ctr_random_splits_the_labelled_rows_8_1_1() -> None:
    log = busy_log(1)
    split = ctr_random(log, seed=5)
    parts = (split.train, split.validation, split.test)
    labelled = np.flatnonzero(log.rating != 3)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), labelled)
    np.testing.assert_array_equal(split.neutral, np.flatnonzero(log.rating == 3))
    assert len(split.validation) == len(split.test) == len(labelled) // 10
    assert not len(ctr_random(log, seed=5, threshold=4.0).neutral)
    np.testing.assert_array_equal(liked(log)[labelled], log.rating[labelled] >= 4)
    again, other = ctr_random(log, seed=5), ctr_random(log, seed=6)
    np.testing.assert_array_equal(split.test, again.test)
    assert set(split.test.tolist()) != set(other.test.tolist())


def test_ctr_last_takes_the_last_labelled_rows_of_each_user() -> None:
    log = busy_log(2)
    split = ctr_last(log)
    for user in range(log.n_users):
        rows = [row for row in range(*log.indptr[user : user + 2]) if log.rating[row] != 3]
        assert [row for row in split.test if log.user_idx[row] == user] == rows[-1:]
        assert [row for row in split.validation if log.user_idx[row] == user] == rows[-2:-1]
        assert [row for row in split.train if log.user_idx[row] == user] == rows[:-2]
        until = rows[-1] if rows else log.n_events
        neutral = [row for row in range(*log.indptr[user : user + 2]) if log.rating[row] == 3 and row < until]
        assert [row for row in split.neutral if log.user_idx[row] == user] == neutral


@pytest.mark.parametrize("name", CTR_PROTOCOLS)
def test_row_splits_need_enough_labelled_rows(name: str) -> None:
    log = log_of(("1997-09-20", 0, 0), ("1997-09-21", 0, 1), ("1998-04-22", 1, 1))
    log = replace(log, rating=np.array([5, 1, 5], dtype=np.float32))
    with pytest.raises(ValueError, match="1997-09-20 to 1998-04-22"):
        CTR_PROTOCOLS[name](log, 0, None)


@pytest.mark.parametrize(("stars", "answer"), [(5, "liked"), (1, "disliked")])
@pytest.mark.parametrize("name", CTR_PROTOCOLS)
def test_row_splits_need_something_to_tell_apart(name: str, stars: int, answer: str) -> None:
    log = log_of(*(("1997-09-20", user, item) for user in range(4) for item in range(4)))
    log = replace(log, rating=np.full(log.n_events, stars, dtype=np.float32))
    with pytest.raises(ValueError, match=f"all ratings that count are {answer}"):
        CTR_PROTOCOLS[name](log, 0, None)


def test_rows_beyond_another_log() -> None:
    log = Dataset(
        user_idx=np.array([0, 0, 0, 1, 1], dtype=np.int32),
        item_idx=np.array([2, 3, 2, 2, 4], dtype=np.int32),
        rating=np.ones(5, dtype=np.float32),
        at=np.array([1, 2, 9, 1, 2]),
        n_users=2,
        n_items=5,
        as_of=10,
    )
    assert rows_beyond(log, log).tolist() == []
    assert rows_beyond(log, log.before(0)).tolist() == [0, 1, 2, 3, 4]
    chosen = np.array([True, False, False, True, False])
    # The film rated again is another event than its first rating.
    assert rows_beyond(log, log.where(chosen)).tolist() == [1, 2, 4]


@pytest.mark.parametrize(("n", "timed"), [(1, False), (3, False), (3, True)])
def test_next_films_asks_for_the_newest_ratings_one_by_one(n: int, timed: bool) -> None:
    log = random_log(4, "2001-01-01", "2001-03-01")
    split = next_films(log, n, timed)
    rows = {user: np.flatnonzero(log.user_idx == user).tolist() for user in range(log.n_users)}
    held_back = {user: mine[len(mine) - min(n, len(mine) // 2) :] for user, mine in rows.items()}
    queries = 0
    for user, newest in held_back.items():
        chosen = split.train.item_idx[split.train.indptr[user] : split.train.indptr[user + 1]].tolist()
        assert chosen == log.item_idx[rows[user][: len(rows[user]) - len(newest)]].tolist()
        for row in newest:
            if log.item_idx[row] in log.item_idx[rows[user][0] : row]:
                continue  # rated again: nobody's target
            assert split.queries.user_idx[queries] == user
            assert (split.queries.start[queries], split.queries.end[queries]) == (rows[user][0], row)
            assert split.queries.at[queries] == log.at[row if timed else row - 1]
            assert split.targets.item[queries] == log.item_idx[row]
            queries += 1
    assert queries == len(split.queries) == len(split.targets) > 0


def test_next_films_need_two_ratings_of_somebody() -> None:
    with pytest.raises(ValueError, match="next films need users with two ratings"):
        next_films(log_of(("2001-01-01", 0, 1), ("2001-01-02", 1, 1)), 3)
