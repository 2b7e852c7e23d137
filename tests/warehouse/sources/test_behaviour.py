"""Logs of behaviour: what is read of a row, under whose names, and what is a play."""

import logging
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.sources import behaviour, movielens
from warehouse.sources import source as sources

VALUES = ("user_id", "item_id", "rating", "timestamp")
HEADER = "userId,movieId,rating,timestamp,clicked,liked,collected,shared,watch_seconds,duration_seconds"
KUAIRAND = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,"
    "long_view,play_time_ms,duration_ms,tab\n"
    "0,1,20220421,700,1650497246969,1,0,0,0,0,0,1,7500,10000,1\n"
    "0,2,20220421,700,1650497256969,0,0,0,0,0,0,0,500,10000,1\n"
    "0,3,20220421,700,1650497266969,1,1,0,0,0,0,0,500,10000,1\n"
)
VIDEOS = (
    "video_id,author_id,upload_dt,video_duration,tag\n"
    '3,5,2022-04-12,10000.0,"11,12"\n'
    "1,5,2021-12-31,,\n"
    "x,5,2021-12-31,,\n"
)
FLAG = st.sampled_from([True, False, None])
SECONDS = st.none() | st.floats(0, 1e5, width=32)
ROW = st.fixed_dictionaries(
    {
        "user_id": st.integers(0, 2**62),
        "item_id": st.integers(0, 2**62),
        "rating": st.sampled_from([None, 0.5, 3.0, 5.0]),
        "timestamp": st.integers(0, 4_102_444_799),
        **dict.fromkeys(behaviour.FLAGS, FLAG),
        **dict.fromkeys(behaviour.SECONDS, SECONDS),
    }
)


def read(text: str) -> pl.DataFrame:
    return pl.concat(behaviour.read_rows(BytesIO(text.encode())))


def field(value: object) -> str:
    return "" if value is None else str(int(value)) if isinstance(value, bool) else repr(value)


@given(st.lists(ROW, min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_what_is_written_reads_back(rows: list[dict[str, object]]) -> None:
    names = (*VALUES, *behaviour.FLAGS, *behaviour.SECONDS)
    lines = [",".join(field(row[name]) for name in names) for row in rows]
    found = read("\n".join([HEADER, *lines]) + "\n")
    assert found["line"].to_list() == list(range(2, len(rows) + 2))
    assert found["raw"].to_list() == lines
    for row, back in zip(rows, found.iter_rows(named=True), strict=True):
        for name in ("user_id", "item_id", "timestamp", "liked", "collected", "shared", *behaviour.SECONDS):
            assert back[name] == row[name]
        assert row["rating"] in (None, back["rating"])


@pytest.mark.parametrize(
    ("fields", "is_play", "rating"),
    [
        ("4.5,10,,,,,,", True, 4.5),  # a rating is one, whatever was done
        (",10,1,,,,,", True, 3.0),  # of a click nothing is known
        (",10,1,0,0,0,30,60", True, 3.0),  # half of it
        (",10,1,0,0,0,90,60", True, 5.0),  # twice through counts as once
        (",10,1,0,0,0,0,60", True, 1.0),
        (",10,1,0,0,0,10,60", True, 1.5),  # 1.67 in half stars
        (",10,1,1,0,0,1,60", True, 5.0),
        (",10,,,,1,,", True, 5.0),  # who shares has played
        (",10,0,0,0,0,5,60", False, 1.5),  # played by itself, nobody clicked
        (",10,,,,,5,60", True, 1.5),  # nobody tells clicks
        (",10,,,,,0,60", False, 1.0),
        (",10,,,,,,", False, 3.0),
    ],
)
def test_plays_have_a_rating_and_impressions_are_none(fields: str, is_play: bool, rating: float) -> None:
    row = read(f"{HEADER}\n1,2,{fields}\n").row(0, named=True)
    assert (row["is_play"], row["clicked"], row["rating"]) == (is_play, is_play, rating)
    assert row["is_plausible"]


@pytest.mark.parametrize("line", ["1,2,,10,x,,,,,", "1,2,,10,1,,,,1s,", "1,2,,10,1,,,,", "1,2,,10,2,,,,,"])
def test_what_cannot_be_read_has_no_values(line: str) -> None:
    rows = read(f"{HEADER}\n{line}\n1,2,4,10,1,,,,,\n").select(VALUES).rows()
    assert rows == [(None, None, None, None), (1, 2, 4.0, 10)]


@pytest.mark.parametrize("times", ["-1,60", "1,0", "1,-5"])
def test_impossible_times_are_not_plausible(times: str) -> None:
    assert not read(f"{HEADER}\n1,2,,10,1,0,0,0,{times}\n")["is_plausible"][0]


def test_kuairand(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "log_standard_4_08_to_4_21_pure.csv").write_text(KUAIRAND)
    (tmp_path / "video_features_basic_pure.csv").write_text(VIDEOS)
    source = sources.resolve(str(tmp_path))
    assert source.has_behaviour
    with caplog.at_level(logging.INFO, "matinee"):
        rows = pl.concat(source.ratings())
    assert "not read: date, hourmin, is_comment, is_hate, long_view, tab" in caplog.text
    assert rows.select("user_id", "item_id", "timestamp", "is_play", "rating", "watch_seconds").rows() == [
        (0, 1, 1650497246, True, 4.0, 7.5),
        (0, 2, 1650497256, False, 1.0, 0.5),
        (0, 3, 1650497266, True, 5.0, 0.5),
    ]
    items = source.items()
    assert items is not None
    assert items.rows() == [
        (1, "Video 1", 2021, [], None),
        (3, "Video 3", 2022, ["tag 11", "tag 12"], 10.0),
    ]


def test_a_time_that_is_cut_off_is_no_time_of_1970() -> None:
    header = "userId,movieId,clicked,rating,timestamp"
    lines = ["1,2,1,5,1043700000", "1,3,1,4,1043700100", "1,4,1,3,10437"]
    assert read("\n".join([header, *lines]))["timestamp"].to_list() == [1043700000, 1043700100, None]
    assert read("\n".join([header, *lines, ""]))["timestamp"].to_list() == [1043700000, 1043700100, 10437]


def test_a_header_of_ratings_alone_is_as_it_was(tmp_path: Path) -> None:
    assert not behaviour.columns(movielens.RATINGS_HEADER)
    assert not behaviour.columns("userId,movieId,watch_seconds")  # no time
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp,watched\n1,2,3,4,5\n")
    source = sources.resolve(str(tmp_path))
    assert not source.has_behaviour
    with pytest.raises(Exception, match="expected the header"):
        list(source.ratings())


def test_films_may_have_content(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(f"{movielens.RATINGS_HEADER}\n")
    (tmp_path / "movies.csv").write_text(
        "movieId,title,genres,quality,duration_seconds\n1,A (1999),War,0.5,5400\n2,B (1999),War,good,\n"
    )
    items = sources.resolve(str(tmp_path)).items()
    assert items is not None
    assert items.select("duration_seconds", "quality").rows() == [(5400, 0.5), (None, None)]


def test_synthetic_behaviour_is_that_of_the_same_ratings() -> None:
    watched, plain = (sources.resolve(f"synthetic:0.01{words}") for words in (",watch", ""))
    assert watched.dataset == "synthetic:0.01,watch"
    assert watched.digests != plain.digests
    rows = pl.concat(watched.ratings())
    plays = rows.filter("is_play")
    columns = ["user_id", "item_id", "rating", "timestamp"]
    assert plays.select(columns).equals(pl.concat(plain.ratings()).select(columns))
    assert 0.2 < 1 - plays.height / rows.height < 0.6
    assert rows.select(pl.struct("user_id", "item_id").is_unique().all()).item()
    assert (plays["watch_seconds"] <= plays["duration_seconds"]).all()
    # The means by the truth are those of what is drawn.
    assert plays["watch_seconds"].mean() == pytest.approx(plays["expected_seconds"].mean(), rel=0.02)
    with pytest.raises(Exception, match=r"after the comma there is one word, watch"):
        sources.resolve("synthetic:0.01,watched")
