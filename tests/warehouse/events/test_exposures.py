"""The log of exposures: each once, whatever is reported, and what cannot be read is shown with the reason."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest

from tests.home import write_home
from warehouse.errors import MatineeError
from warehouse.events import exposures, quarantine
from warehouse.events.exposures import PUBLISHED, REPORTED

HEADER = "user_id,item_id,shown_at"
NOON = datetime(2001, 1, 1, 12)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = write_home(tmp_path / "home")
    (home / "catalog" / "dataset.json").write_text('{"name": "hand", "layout": "dat"}')
    return home


def csv(folder: Path, text: str, name: str = "shown.csv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def logged(home: Path) -> list[tuple[object, ...]]:
    files = exposures.files(home, REPORTED)
    columns = ["user_id", "item_id", "shown_at", "rank", "experiment", "propensity"]
    return pl.read_parquet(files).select(columns).rows() if files else []


def rejected(home: Path) -> list[tuple[int, str, str]]:
    found = sorted((home / "quarantine").glob("shown-*.parquet"))
    return pl.read_parquet(found).select("line", "raw", "reason").rows() if found else []


def test_a_report_is_logged_with_all_that_it_says(home: Path, tmp_path: Path) -> None:
    text = f"{HEADER},rank,propensity,experiment\n7,10,2001-01-01T12:00:00,1,0.25,bold\n99,20,978350400,,,\n"
    report = exposures.record(home, csv(tmp_path, text))
    assert (report.status, report.batch, report.rows_read, report.rows_logged) == ("new", 1, 2, 2)
    assert (report.users, report.items, report.quarantined, report.dataset) == (2, 2, {}, "hand")
    assert logged(home) == [
        (7, 10, NOON, 1, "bold", 0.25),
        (99, 20, NOON, None, None, None),
    ]


@pytest.mark.parametrize(
    "moment",
    [
        "2001-01-01 12:00:00",
        "2001-01-01T12:00:00Z",
        "2001-01-01T12:00:00.000+00:00",
        "2001-01-01T14:00:00+02:00",
        "978350400",
    ],
)
def test_times_are_utc_unless_they_say_otherwise(home: Path, tmp_path: Path, moment: str) -> None:
    exposures.record(home, csv(tmp_path, f"{HEADER}\n7,10,{moment}\n"))
    assert [row[2] for row in logged(home)] == [NOON]


@pytest.mark.parametrize(
    "times",
    [
        pl.Series([NOON]),
        pl.Series([978350400]),
        pl.Series([NOON.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=2)))]),
        pl.Series(["2001-01-01T12:00:00Z"]),
    ],
    ids=["naive", "seconds", "zone", "text"],
)
def test_parquet_says_the_same_as_csv(home: Path, tmp_path: Path, times: pl.Series) -> None:
    frame = pl.DataFrame({"item_id": [10, 11], "user_id": [7, 7], "shown_at": [*times, *times]})
    frame = frame.with_columns(rank=pl.Series([3, None], dtype=pl.Int16))
    frame.write_parquet(tmp_path / "shown.parquet")
    report = exposures.record(home, str(tmp_path / "shown.parquet"))
    assert logged(home) == [(7, 10, NOON, 3, None, None)]
    assert report.quarantined == {"unknown_item": 1}
    ((line, raw, reason),) = rejected(home)
    assert (line, raw[:5], reason) == (2, "11,7,", "unknown_item")


def test_every_reason(home: Path, tmp_path: Path) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    lines = {
        "7,10,978350400,1,1": None,
        "7,10,978350400,2,1": "duplicate",
        "7,10,978350400,1": "malformed",
        "7,10,978350400,1,1,1": "malformed",
        "": "malformed",
        "seven,10,978350400,1,1": "malformed",
        "-7,10,978350400,1,1": "malformed",
        "7,10,yesterday,1,1": "malformed",
        "7,10,,1,1": "malformed",
        "7,10,978350400000,1,1": "malformed",
        "7,10,99999999999999999,1,1": "malformed",
        "7,10,978350401,first,1": "malformed",
        "7,10,978350402,0,1": "rank_out_of_range",
        "7,10,978350403,1,0": "propensity_out_of_range",
        "7,10,978350403,1,1.5": "propensity_out_of_range",
        "7,10,978350403,1,nan": "propensity_out_of_range",
        f"7,10,{tomorrow},1,1": "in_the_future",
        "7,11,978350404,1,1": "unknown_item",
    }
    report = exposures.record(home, csv(tmp_path, "\n".join([f"{HEADER},rank,propensity", *lines]) + "\n"))
    assert len(logged(home)) == report.rows_logged == 1
    expected = [(line, raw, reason) for line, (raw, reason) in enumerate(lines.items(), 2) if reason]
    assert sorted(rejected(home)) == expected
    assert sum(report.quarantined.values()) == len(expected)


def test_the_quarantine_of_ratings_does_not_see_it(home: Path, tmp_path: Path) -> None:
    exposures.record(home, csv(tmp_path, f"{HEADER}\n7,11,978350400\n"))
    assert not quarantine.files(home)
    everything = pl.read_parquet(home / "quarantine" / "*.parquet")
    assert everything.columns == quarantine.SCHEMA.names
    assert everything["event_at"].to_list() == [NOON]


def test_the_same_bytes_again_are_nothing_new_and_the_same_rows_are_duplicates(
    home: Path, tmp_path: Path
) -> None:
    first = csv(tmp_path, f"{HEADER}\n7,10,978350400\n")
    exposures.record(home, first)
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*.parquet")}
    again = exposures.record(home, csv(tmp_path, Path(first).read_text(), "again.csv"))
    assert (again.status, again.batch, again.rows_logged) == ("known", None, 0)
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*.parquet")} == before
    more = exposures.record(home, csv(tmp_path, f"{HEADER}\n7,10,978350400\n7,10,978350401\n"))
    assert (more.batch, more.rows_logged, more.quarantined) == (2, 1, {"duplicate": 1})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("shown.csv", None, "no such file"),
        ("shown.txt", HEADER, "are read from .csv and .parquet files"),
        ("shown.csv", "user_id,item_id\n7,10\n", "lacks shown_at"),
        ("shown.csv", f"{HEADER},arm\n7,10,978350400,a\n", "has columns user_id, item_id, shown_at, arm"),
        ("shown.csv", f"{HEADER},rank,rank\n", "has columns"),
        ("shown.csv", "", "lacks user_id, item_id, shown_at"),
        ("shown.csv", f"{HEADER}\n", "no exposures in shown.csv"),
        ("shown.parquet", "PAR1", "is no Parquet file"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_changes_nothing(
    home: Path, tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        csv(tmp_path, text, name)
    with pytest.raises(MatineeError) as caught:
        exposures.record(home, str(tmp_path / name))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not exposures.files(home, REPORTED)
    assert not list(home.rglob("*.tmp"))


def test_nothing_can_have_been_shown_by_an_empty_home(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="no ratings were ingested"):
        exposures.record(tmp_path / "home", csv(tmp_path, f"{HEADER}\n7,10,978350400\n"))


def test_what_a_killed_recording_left_is_cleared_up(home: Path, tmp_path: Path) -> None:
    exposures.record(home, csv(tmp_path, f"{HEADER}\n7,10,978350400\n7,11,978350400\n"))
    left = home / "quarantine" / "shown-000002-0123456789ab.parquet"
    left.write_bytes((home / "quarantine").joinpath(next(iter(rejected_files(home)))).read_bytes())
    (home / "exposures" / ".000002-0123456789ab.parquet.1234.tmp").write_text("half")
    exposures.record(home, csv(tmp_path, f"{HEADER}\n8,10,978350400\n"))
    assert not left.exists()
    assert not list(home.rglob("*.tmp"))
    assert len(logged(home)) == 2


def rejected_files(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "quarantine").glob("shown-*"))


def test_lists_of_a_release_are_there_once_and_apart_from_reports(home: Path) -> None:
    frame = pl.DataFrame({"user_id": [7, 7], "item_id": [10, 20], "shown_at": [NOON, NOON], "rank": [1, 2]})
    frame = frame.with_columns(
        experiment=pl.lit(None, pl.String), propensity=pl.lit(None, pl.Float64), line=pl.Series([1, 2])
    )
    for release in ("one", "one", "two"):  # two has the same rows: they are dropped
        exposures.record_lists(home, release, lambda: iter([frame]))
    assert exposures.has_lists(home, "one")
    assert not exposures.has_lists(home, "three")
    assert not exposures.files(home, REPORTED)
    files = exposures.files(home, PUBLISHED)
    assert [pl.read_parquet(file).height for file in files] == [2, 0]
    assert not rejected_files(home)


def test_a_release_without_lists_of_its_own_is_recorded_too(home: Path) -> None:
    exposures.record_lists(home, "carried", lambda: iter([]))
    assert exposures.has_lists(home, "carried")
