"""The log: each event once, whatever comes in which order, and wherever an ingest is cut off."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.warehouse import batches
from tests.warehouse.batches import Row
from warehouse.errors import AnotherDataset, MatineeError
from warehouse.events import log, quarantine

ROWS: list[Row] = [(7, 1, 5, 100), (7, 2, 3, 100), (8, 1, 4, 50)]


def events(home: Path) -> pl.DataFrame:
    """The whole log."""
    return pl.read_parquet(log.event_files(home))


def logged(home: Path) -> set[Row]:
    """The events of the log; fails if one is there twice."""
    rows = events(home).select("user_id", "item_id", "rating", pl.col("event_at").dt.epoch("s")).rows()
    assert len(rows) == len(set(rows))
    return set(rows)


def rejected(home: Path) -> list[tuple[int, str, str]]:
    """(line, raw, reason) of all the quarantine, by batch and line."""
    files = quarantine.files(home)
    if not files:
        return []
    return pl.read_parquet(files).sort("batch", "line").select("line", "raw", "reason").rows()


def items(home: Path) -> list[tuple[object, ...]]:
    """The catalogue."""
    return pl.read_parquet(home / "catalog" / "items.parquet").rows()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_a_first_batch(home: Path, tmp_path: Path) -> None:
    source = batches.dat(tmp_path / "tiny", ROWS, users=batches.USERS)
    report = log.ingest(home, source)
    assert (report.dataset, report.status, report.batch, report.source) == ("tiny", "new", 1, source)
    assert (report.rows_read, report.rows_logged, report.users, report.items) == (3, 3, 2, 2)
    assert report.quarantined == {}
    assert log.dataset_name(home) == "tiny"
    assert events(home).rows() == [
        (7, 1, 5.0, datetime(1970, 1, 1, 0, 1, 40), 1, 1),
        (7, 2, 3.0, datetime(1970, 1, 1, 0, 1, 40), 1, 2),
        (8, 1, 4.0, datetime(1970, 1, 1, 0, 0, 50), 1, 3),
    ]
    assert [item[0] for item in items(home)] == [1, 2, 3, 4]
    assert pl.read_parquet(home / "catalog" / "users.parquet").height == 2
    assert json.loads((home / "catalog" / "dataset.json").read_text())["layout"] == "dat"


def test_files_are_as_readers_expect_them(home: Path, tmp_path: Path) -> None:
    log.ingest(home, batches.dat(tmp_path / "tiny", [*ROWS, (7, 1, 9, 100)]))
    (batch,) = log.batches(home)
    assert batch.path.name == f"000001-{batch.sha256[:12]}.parquet"
    assert (batch.sequence, batch.rows, batch.source) == (1, 3, str(tmp_path / "tiny"))
    columns = "user_id BIGINT, item_id BIGINT, rating FLOAT, event_at TIMESTAMP, batch INTEGER, line BIGINT"
    with duckdb.connect() as con:
        for folder, expected in [
            ("events", columns),
            (
                "quarantine",
                "batch INTEGER, source_file VARCHAR, line BIGINT, raw VARCHAR, reason VARCHAR, "
                "user_id BIGINT, item_id BIGINT, rating FLOAT, event_at TIMESTAMP",
            ),
            ("catalog", "item_id BIGINT, title VARCHAR, year INTEGER, genres VARCHAR[]"),
        ]:
            found = con.execute(f"describe from '{home}/{folder}/*.parquet'").fetchall()
            assert ", ".join(f"{name} {kind}" for name, kind, *_ in found) == expected
    facts = pq.read_metadata(batch.path).metadata
    assert facts[b"ratings_sha256"].decode() == batch.sha256
    assert facts[b"rows_read"] == b"4"
    assert not list(home.rglob("*.tmp"))


def test_the_same_bytes_again_are_nothing_new(home: Path, tmp_path: Path) -> None:
    source = batches.dat(tmp_path / "tiny", ROWS)
    log.ingest(home, source)
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*.parquet")}
    report = log.ingest(home, batches.zipped(tmp_path / "again.zip", source))
    assert (report.status, report.batch, report.rows_logged) == ("known", None, 0)
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*.parquet")} == before


def test_events_are_logged_once_and_others_of_the_same_film_too(home: Path, tmp_path: Path) -> None:
    log.ingest(home, batches.dat(tmp_path / "a", ROWS))
    more: list[Row] = [(7, 1, 2, 100), (7, 1, 2, 101), (9, 3, 1, 7), (9, 3, 5, 7)]
    report = log.ingest(home, batches.dat(tmp_path / "b", more, movies=None))
    assert (report.batch, report.rows_read, report.rows_logged) == (2, 4, 2)
    assert report.quarantined == {"duplicate": 2}
    assert logged(home) == {*ROWS, (7, 1, 2, 101), (9, 3, 1, 7)}
    assert rejected(home) == [(1, "7::1::2::100", "duplicate"), (4, "9::3::5::7", "duplicate")]


def test_every_reason(home: Path, tmp_path: Path) -> None:
    lines = {
        "7::1::5::100": None,
        "7::1::5": "malformed",
        "": "malformed",
        "7::1::five::100": "malformed",
        "-7::1::5::100": "malformed",
        "99999999999999999999::1::5::100": "malformed",
        "7::1::0.4::101": "rating_out_of_range",
        "7::1::5.5::101": "rating_out_of_range",
        "7::1::nan::101": "rating_out_of_range",
        "7::1::inf::101": "rating_out_of_range",
        "7::1::5::-1": "timestamp_out_of_range",
        "7::1::5::978300760000": "timestamp_out_of_range",
        "7::1::5::9223372036854775807": "timestamp_out_of_range",
        "7::99::5::102": "unknown_item",
        "7::99::6::102": "rating_out_of_range",
        "7::2::0.5::100": None,
    }
    report = log.ingest(home, batches.dat(tmp_path / "x", "\n".join(lines) + "\n"))
    assert logged(home) == {(7, 1, 5, 100), (7, 2, 0.5, 100)}
    numbered = enumerate(lines.items(), start=1)
    assert rejected(home) == [(number, raw, reason) for number, (raw, reason) in numbered if reason]
    assert report.rows_read == report.rows_logged + sum(report.quarantined.values())
    stored = pl.read_parquet(quarantine.files(home)).row(
        by_predicate=pl.col("reason") == "unknown_item", named=True
    )
    assert (stored["user_id"], stored["item_id"], stored["rating"]) == (7, 99, 5.0)
    assert (stored["batch"], stored["source_file"]) == (1, "ratings.dat")
    assert stored["event_at"] == datetime(1970, 1, 1, 0, 1, 42)


def test_a_batch_of_bad_rows_alone_is_recorded(home: Path, tmp_path: Path) -> None:
    report = log.ingest(home, batches.dat(tmp_path / "x", [(7, 1, 9, 1), (7, 2, 9, 1)]))
    assert (report.status, report.batch, report.rows_logged) == ("new", 1, 0)
    assert report.quarantined == {"rating_out_of_range": 2}
    assert log.batches(home)[0].rows == 0
    assert log.ingest(home, str(tmp_path / "x")).status == "known"


def test_ratings_return_once_their_film_is_named(home: Path, tmp_path: Path) -> None:
    waiting: list[Row] = [(7, 1, 5, 100), (7, 3, 3, 100), (7, 4, 1, 90), (7, 3, 1, 100)]
    log.ingest(home, batches.dat(tmp_path / "a", waiting, movies=[1, 2]))
    assert logged(home) == {waiting[0]}
    report = log.ingest(home, batches.dat(tmp_path / "b", [(8, 3, 2, 5), (7, 3, 4, 100)], movies=[3]))
    assert (report.batch, report.rows_read, report.rows_logged, report.rows_returned) == (2, 2, 1, 1)
    # Of three ratings of film 3 at second 100, the first that was ever read counts.
    assert logged(home) == {waiting[0], waiting[1], (8, 3, 2, 5)}
    assert events(home).filter(batch=2).select("user_id", "item_id", "line").rows() == [(7, 3, 2), (8, 3, 1)]
    assert rejected(home) == [
        (3, "7::4::1::90", "unknown_item"),
        (4, "7::3::1::100", "duplicate"),
        (2, "7::3::4::100", "duplicate"),
    ]


def at_second(second: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock of ingests."""
    monkeypatch.setattr(log, "now", lambda: datetime.fromtimestamp(second, UTC).isoformat())


def test_a_rating_from_the_future_waits_until_its_time_has_come(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later: Row = (7, 1, 5, 4_070_908_800)  # 2099
    at_second(10**9, monkeypatch)
    within, beyond = (7, 2, 4, 10**9 + 300), (7, 3, 4, 10**9 + 301)
    report = log.ingest(
        home, batches.dat(tmp_path / "a", [*ROWS, later, within, beyond, (7, 9, 2, beyond[3])])
    )
    assert (report.rows_logged, report.quarantined) == (4, {"in_the_future": 3})
    assert logged(home) == {*ROWS, within}
    assert log.take_back(home) == 0
    at_second(10**9 + 1, monkeypatch)
    assert log.take_back(home) == 1
    assert logged(home) == {*ROWS, within, beyond}
    assert log.take_back(home) == 0
    assert [batch.source for batch in log.batches(home)] == [str(tmp_path / "a"), log.QUARANTINE]
    at_second(later[3], monkeypatch)
    report = log.ingest(home, batches.dat(tmp_path / "b", [(8, 2, 1, 7)], movies=None))
    assert (report.rows_logged, report.rows_returned) == (1, 1)
    assert later in logged(home)
    assert [reason for *_, reason in rejected(home)] == ["in_the_future"]  # of a film that no file names
    at_second(50, monkeypatch)  # a clock that jumped back
    assert log.ingest(home, batches.dat(tmp_path / "c", [ROWS[0], (9, 1, 1, 40)])).rows_logged == 1
    assert [(raw, reason) for _, raw, reason in rejected(home)][1:] == [("7::1::5::100", "duplicate")]


def test_known_ratings_with_a_new_movies_file(home: Path, tmp_path: Path) -> None:
    source = batches.dat(tmp_path / "a", ROWS, movies=[1])
    log.ingest(home, source)
    assert logged(home) == {ROWS[0], ROWS[2]}
    report = log.ingest(home, batches.dat(tmp_path / "a", ROWS, movies=[1, 2, 3]))
    assert (report.status, report.batch, report.rows_logged, report.rows_returned) == ("known", 2, 0, 1)
    assert logged(home) == set(ROWS)
    assert rejected(home) == []
    report = log.ingest(home, batches.dat(tmp_path / "a", ROWS, movies=[1, 2, 3, 4]))
    assert (report.status, report.batch, report.rows_returned) == ("known", None, 0)
    assert [item[0] for item in items(home)] == [1, 2, 3, 4]


def test_an_old_catalogue_does_not_come_back(home: Path, tmp_path: Path) -> None:
    titles = {item: (f"Film {item} (2000)", "Drama") for item in range(1, 21)}
    old = batches.dat(tmp_path / "old", ROWS, movies=titles)
    log.ingest(home, old)
    log.ingest(home, batches.dat(tmp_path / "new", ROWS, movies={**titles, 1: ("Film One (2000)", "War")}))
    assert items(home)[0] == (1, "Film One (2000)", 2000, ["War"])
    log.ingest(home, old)
    assert items(home)[0] == (1, "Film One (2000)", 2000, ["War"])


def test_ratings_without_any_catalogue_wait(home: Path, tmp_path: Path) -> None:
    source = batches.dat(tmp_path / "a", ROWS, movies=None)
    assert log.ingest(home, source).quarantined == {"unknown_item": 3}
    assert items(home) == []
    log.ingest(home, batches.dat(tmp_path / "a", ROWS))
    assert logged(home) == set(ROWS)


def other_titles(folder: Path) -> str:
    return batches.dat(
        folder, [(1, 1, 1, 1)], movies={item: (f"Other {item}", "War") for item in range(1, 5)}
    )


def other_people(folder: Path) -> str:
    return batches.dat(folder, [(1, 1, 1, 1)], users={7: "M::1::10::48067", 8: "M::56::16::70072"})


def other_layout(folder: Path) -> str:
    return batches.csv(folder, [(1, 1, 1, 1)], "1,Toy Story (1995),War\n2,Jumanji (1995),War\n")


def generated(_: Path) -> str:
    return "synthetic:0.01"


@pytest.mark.parametrize("other", [other_titles, other_people, other_layout, generated])
def test_another_data_set_is_refused(home: Path, tmp_path: Path, other) -> None:  # type: ignore[no-untyped-def]
    log.ingest(home, batches.dat(tmp_path / "mine", ROWS, users=batches.USERS))
    before = {path: path.read_bytes() for path in home.rglob("*.*")}
    with pytest.raises(AnotherDataset, match="mine"):
        log.ingest(home, other(tmp_path / "other"))
    assert {path: path.read_bytes() for path in home.rglob("*.*")} == before


def test_synthetic_homes(home: Path, tmp_path: Path) -> None:
    report = log.ingest(home, "synthetic:0.005")
    assert report.dataset == log.dataset_name(home) == "synthetic:0.005"
    assert report.rows_logged == report.rows_read == events(home).height
    assert log.ingest(home, "synthetic:0.005").status == "known"
    for other in ("synthetic:0.01", other_titles(tmp_path / "other")):
        with pytest.raises(AnotherDataset):
            log.ingest(home, other)
    # New ratings of its own films are welcome.
    assert log.ingest(home, batches.dat(tmp_path / "day", [(1, 1, 5, 10**9)], movies=None)).rows_logged == 1


def test_additions_are_no_other_data_set(home: Path, tmp_path: Path) -> None:
    log.ingest(home, batches.dat(tmp_path / "mine", ROWS, users=batches.USERS))
    log.ingest(home, batches.csv(tmp_path / "one", [(7, 5, 3.5, 9)], "5,New (2001),Drama\n"))
    log.ingest(home, batches.dat(tmp_path / "two", [(9, 5, 3, 9)], movies=None, users={9: "F::18::1::12345"}))
    assert logged(home) == {*ROWS, (7, 5, 3.5, 9), (9, 5, 3, 9)}
    assert pl.read_parquet(home / "catalog" / "users.parquet")["user_id"].to_list() == [7, 8, 9]


def test_a_batch_may_correct_a_film_and_a_user(home: Path, tmp_path: Path) -> None:
    people = {user: f"F::1::10::{10000 + user}" for user in range(1, 9)}
    films = {item: (f"Film {item}", "War") for item in range(1, 9)}
    log.ingest(home, batches.dat(tmp_path / "mine", ROWS, movies=films, users=people))
    moved, renamed = {2: "F::1::10::99999"}, {2: ("Film Two", "War")}
    log.ingest(home, batches.dat(tmp_path / "day", [(2, 1, 5, 9)], movies=renamed, users=moved))
    assert (2, 1, 5, 9) in logged(home)
    assert items(home)[1][1] == "Film Two"
    users = pl.read_parquet(home / "catalog" / "users.parquet")
    assert users.filter(pl.col("user_id") == 2)["zip"].item() == "99999"
    several = dict.fromkeys(range(1, 5), "M::1::10::1")
    with pytest.raises(AnotherDataset, match="100% of the shared users"):
        log.ingest(home, batches.dat(tmp_path / "other", [(2, 2, 5, 9)], movies=None, users=several))


@pytest.mark.parametrize("text", ["", "userId,movieId,rating,timestamp\n"])
def test_a_batch_without_ratings_is_refused(home: Path, tmp_path: Path, text: str) -> None:
    name = "ratings.csv" if text else "ratings.dat"
    (tmp_path / name).write_text(text)
    with pytest.raises(MatineeError, match="no ratings"):
        log.ingest(home, str(tmp_path / name))
    assert log.batches(home) == []
    assert log.dataset_name(home) is None


def test_a_refused_first_source_decides_nothing(home: Path, tmp_path: Path) -> None:
    with pytest.raises(MatineeError):
        log.ingest(home, batches.dat(tmp_path / "bad", "", movies=[1, 2]))
    assert log.ingest(home, batches.csv(tmp_path / "good", [(1, 5, 2, 3)], "5,A,B\n")).dataset == "good"
    assert [item[0] for item in items(home)] == [5]


def test_a_full_disk_is_one_line_and_leaves_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.ingest(home, batches.dat(tmp_path / "a", ROWS, movies=[1]))
    before = {path: path.read_bytes() for path in home.rglob("*.*")}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MatineeError, match="is full") as error:
        log.ingest(home, batches.dat(tmp_path / "b", [(9, 2, 1, 1)]))
    assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in home.rglob("*.*")} == before


def test_a_write_that_fails_in_the_middle_leaves_nothing(home: Path, tmp_path: Path) -> None:
    """The kernel refuses to let the event file grow."""
    many = [(user, 1, 5, 10**8 + user * user) for user in range(20_000)]
    source = batches.dat(tmp_path / "a", many)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(MatineeError, match="File too large") as error:
            log.ingest(home, source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert not [path for path in home.rglob("*") if path.is_file() and path.stat().st_size]
    assert log.ingest(home, source).rows_logged == len(many)


class Killed(BaseException):
    """Nothing of the process runs after this."""


def dying(step: int, monkeypatch: pytest.MonkeyPatch) -> "count[int]":
    """Let no change of the disk happen from the step-th on, not even the cleaning up; counts them."""
    steps = count()

    def until_dead(function: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **named: Any) -> Any:
            if next(steps) >= step:
                raise Killed
            return function(*arguments, **named)

        return change

    for owner, name in [(os, "replace"), (os, "fsync"), (Path, "unlink")]:
        monkeypatch.setattr(owner, name, until_dead(getattr(owner, name)))
    return steps


CHANGES = 17
"""Changes of the disk by the second ingest of the next test."""


@pytest.mark.parametrize("step", range(CHANGES + 1))
def test_cut_off_anywhere_and_run_again(
    home: Path, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is as before or complete, and complete after another run; nothing is counted twice."""
    first: list[Row] = [(7, 1, 5, 100), (7, 3, 3, 100), (7, 3, 2, 100), (8, 4, 1, 90)]
    second: list[Row] = [(9, 1, 4, 1), (9, 1, 4, 1), (9, 1, 9, 2)]
    log.ingest(home, batches.dat(tmp_path / "a", first, movies=[1, 2]))
    source = batches.dat(tmp_path / "b", second, movies=[3], users=batches.USERS)
    before, after = {first[0]}, {first[0], first[1], second[0]}
    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        steps = dying(step, patch)
        log.ingest(home, source)
        assert next(steps) == step == CHANGES  # not cut off: the others were all there are
    assert logged(home) in (before, after)
    log.ingest(home, source)
    assert logged(home) == after
    assert rejected(home) == [
        (3, "7::3::2::100", "duplicate"),
        (4, "8::4::1::90", "unknown_item"),
        (2, "9::1::4::1", "duplicate"),
        (3, "9::1::9::2", "rating_out_of_range"),
    ]
    assert [path for path in home.rglob("*") if ".tmp" in path.name] == []


@pytest.mark.parametrize("step", range(6))
def test_a_first_ingest_cut_off_decides_nothing(
    home: Path, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = batches.dat(tmp_path / "a", ROWS)
    with monkeypatch.context() as patch:
        dying(step, patch)
        with pytest.raises(Killed):
            log.ingest(home, source)
    assert log.dataset_name(home) is None
    assert log.ingest(home, batches.csv(tmp_path / "good", [(1, 5, 2, 3)], "5,A,B\n")).dataset == "good"
    assert [item[0] for item in items(home)] == [5]
    assert logged(home) == {(1, 5, 2, 3)}


def test_kill_9(home: Path, tmp_path: Path) -> None:
    """The same by the kernel, when the event file is about to move into place."""
    log.ingest(home, batches.dat(tmp_path / "a", ROWS))
    source = batches.dat(tmp_path / "b", [(9, 1, 4, 1), (9, 1, 9, 1)], movies=None)
    program = (
        "import os, signal, sys; from pathlib import Path; from warehouse.events import log\n"
        "move = os.replace\n"
        "def replace(old, new):\n"
        "    os.kill(os.getpid(), signal.SIGKILL) if Path(new).parent.name == 'events' else move(old, new)\n"
        "os.replace = replace\n"
        "log.ingest(Path(sys.argv[1]), sys.argv[2])\n"
    )
    root = Path(__file__).parents[3]
    assert (
        subprocess.run([sys.executable, "-c", program, home, source], cwd=root).returncode == -signal.SIGKILL
    )
    assert logged(home) == set(ROWS)
    assert list((home / "events").glob(".*.tmp"))
    assert log.ingest(home, source).rows_logged == 1
    assert logged(home) == {*ROWS, (9, 1, 4, 1)}
    assert rejected(home) == [(2, "9::1::9::1", "rating_out_of_range")]
    assert not list(home.rglob("*.tmp"))


def test_ingests_at_once_wait_for_each_other(home: Path, tmp_path: Path) -> None:
    log.ingest(home, batches.dat(tmp_path / "a", ROWS))
    sources = [batches.dat(tmp_path / f"b{k}", [(k, 1, 5, 1), (99, 2, 5, 5)], movies=None) for k in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda source: log.ingest(home, source), sources))
    assert [batch.sequence for batch in log.batches(home)] == [1, 2, 3, 4, 5]
    assert logged(home) == {*ROWS, *((k, 1, 5, 1) for k in range(4)), (99, 2, 5, 5)}
    assert [reason for *_, reason in rejected(home)] == ["duplicate"] * 3


History = list[tuple[list[Row], list[int] | None, int]]
"""Batches: the ratings, the films of the movies file, and the clock of the ingest of each."""


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Batches that repeat each other's events, with movies files that come late, and a clock that jumps."""
    row = st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(0, 6), st.integers(1, 2))
    batch = st.tuples(
        st.lists(row, min_size=1, max_size=6),
        st.none() | st.lists(st.integers(1, 4), unique=True),
        st.integers(1, 2),
    )
    return draw(st.lists(batch, min_size=1, max_size=4))


def oracle(history: History) -> tuple[set[Row], list[tuple[int, int, str]]]:
    """The expected log and quarantine (batch, line, reason), one row at a time."""
    named: set[int] = set()
    log_of: dict[tuple[int, int, int], float] = {}
    waiting: list[tuple[int, int, Row, str]] = []
    bad: list[tuple[int, int, str]] = []
    seen: list[list[Row]] = []
    sequence = 0

    def enter(batch: int, line: int, row: Row) -> None:
        user, item, rating, at = row
        if (user, item, at) in log_of:
            bad.append((batch, line, "duplicate"))
        else:
            log_of[user, item, at] = rating

    for rows, movies, clock in history:
        named |= set(movies or ())
        already_logged = rows in seen
        returning = [entry for entry in waiting if entry[2][1] in named and entry[2][3] <= clock]
        waiting = [entry for entry in waiting if entry not in returning]
        if not already_logged or returning:
            sequence += 1
        for entry in returning:
            enter(*entry[:3])
        for line, row in enumerate([] if already_logged else rows, start=1):
            if not 0.5 <= row[2] <= 5:
                bad.append((sequence, line, "rating_out_of_range"))
            elif row[3] > clock and (row[0], row[1], row[3]) in log_of:
                bad.append((sequence, line, "duplicate"))  # logged before the clock jumped back
            elif row[3] > clock or row[1] not in named:
                reason = "in_the_future" if row[3] > clock else "unknown_item"
                waiting.append((sequence, line, row, reason))
            else:
                enter(sequence, line, row)
        seen.append(rows)
    bad += [(batch, line, reason) for batch, line, _, reason in waiting]
    return {(user, item, rating, at) for (user, item, at), rating in log_of.items()}, sorted(bad)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
def test_any_history_against_a_slow_oracle(
    tmp_path_factory: pytest.TempPathFactory, history: History
) -> None:
    folder = tmp_path_factory.mktemp("history")
    for number, (rows, movies, clock) in enumerate(history):
        with pytest.MonkeyPatch.context() as patch:
            at_second(clock, patch)
            source = batches.dat(folder / str(number), rows, movies=movies)
            log.ingest(folder / "home", source, tolerance=0)
    expected, bad = oracle(history)
    assert logged(folder / "home") == expected
    files = quarantine.files(folder / "home")
    found = pl.read_parquet(files).select("batch", "line", "reason").rows() if files else []
    assert sorted(found) == bad
