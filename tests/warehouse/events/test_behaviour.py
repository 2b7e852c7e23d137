"""The log of behaviour beside that of ratings."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from warehouse import health
from warehouse.errors import Damaged
from warehouse.events import behaviour
from warehouse.events import log as event_log

HEADER = "user_id,video_id,time_ms,is_click,is_like,is_follow,is_forward,play_time_ms,duration_ms\n"
LOG = (
    "7,1,1650497246969,1,0,0,0,9000,10000\n"
    "7,2,1650497256969,0,0,0,0,500,10000\n"  # passed over
    "7,1,1650497266969,1,1,0,0,500,10000\n"  # once more, and liked
    "7,2,1650497266969,no,1,0,0,500,10000\n"
    "7,2,1650497276969,1,1,0,0,-500,10000\n"
    "7,9,1650497276969,1,0,0,0,500,10000\n"  # of no known video
    "7,9,1650497279979,0,0,0,0,500,10000\n"
)
VIDEOS = "video_id,video_duration,tag\n1,10000,11\n2,,\n"


def source(folder: Path, videos: str = VIDEOS) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "log_standard.csv").write_text(HEADER + LOG)
    (folder / "video_features_basic.csv").write_text(videos)
    return str(folder)


def events(home: Path) -> list[tuple[object, ...]]:
    rows = pl.read_parquet(event_log.event_files(home)).sort("event_at")
    return rows.select("item_id", "rating", "line").rows()


def batches(home: Path) -> tuple[str, ...]:
    return tuple(path.name for path in event_log.event_files(home))


def test_plays_are_ratings_and_impressions_are_in_the_log_of_behaviour_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    report = event_log.ingest(home, source(tmp_path / "kuai"))
    assert events(home) == [(1, 4.5, 2), (1, 5.0, 4)]
    assert report.quarantined == {"malformed": 1, "behaviour_out_of_range": 1, "unknown_item": 1}
    assert (report.rows_read, report.rows_logged, report.impressions) == (7, 2, 2)
    shown = pl.read_parquet(behaviour.files(home, batches(home))).sort("line")
    assert shown["line"].to_list() == [2, 3, 4, 7, 8]
    assert shown["clicked"].to_list() == [True, False, True, True, False]
    assert shown["watch_seconds"].to_list() == [9.0, 0.5, 0.5, 0.5, 0.5]
    assert event_log.ingest(home, source(tmp_path / "kuai")).status == "known"
    assert len(behaviour.BEHAVIOUR.files(home)) == 1


def test_plays_of_a_video_that_becomes_known_return(tmp_path: Path) -> None:
    home = tmp_path / "home"
    event_log.ingest(home, source(tmp_path / "kuai"))
    report = event_log.ingest(home, source(tmp_path / "kuai", f"{VIDEOS}9,,\n"))
    assert (report.rows_returned, report.impressions) == (1, 0)
    assert events(home)[-1] == (9, 1.0, 7)


def test_what_a_killed_ingest_left_behind_goes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    event_log.ingest(home, source(tmp_path / "kuai"))
    for path in event_log.event_files(home):
        path.unlink()
    event_log.ingest(home, source(tmp_path / "kuai"))
    (found,) = behaviour.BEHAVIOUR.files(home)
    assert pl.read_parquet(found).height == 5


def test_a_run_reads_the_files_of_its_batches(tmp_path: Path) -> None:
    home = tmp_path / "home"
    event_log.ingest(home, source(tmp_path / "kuai"))
    assert behaviour.files(home, batches(home)) == behaviour.BEHAVIOUR.files(home)
    assert behaviour.files(home, ("000001-0123456789ab.parquet",)) == []
    assert event_log.batches(home)[0].ingested_at <= datetime.now(UTC)


def findings(home: Path) -> list[tuple[str, str]]:
    return [(found.state, found.path.parent.name) for part in health.examine(home) for found in part.findings]


def flip(file: Path) -> None:
    text = bytearray(file.read_bytes())
    text[len(text) // 3] ^= 4
    file.write_bytes(text)


@pytest.mark.parametrize("damage", [flip, Path.unlink])
def test_lost_behaviour_is_found_and_comes_back_with_its_source(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    event_log.ingest(home, source(tmp_path / "kuai"))
    assert findings(home) == []
    (file,) = behaviour.BEHAVIOUR.files(home)
    before = pl.read_parquet(file)
    damage(file)
    is_gone = not file.exists()
    assert findings(home) == [("damaged", "events" if is_gone else "behaviour")]
    if not is_gone:
        with pytest.raises(Damaged, match="remove it and ingest its source again"):
            event_log.batches(home)
        assert health.repair(home) == []
        file.unlink()
    ratings = events(home)
    assert event_log.ingest(home, source(tmp_path / "kuai")).status == "known"
    assert pl.read_parquet(behaviour.BEHAVIOUR.files(home)).equals(before)
    assert events(home) == ratings
    assert findings(home) == []


def test_behaviour_of_no_batch_is_set_aside(tmp_path: Path) -> None:
    home = tmp_path / "home"
    event_log.ingest(home, source(tmp_path / "kuai"))
    (file,) = behaviour.BEHAVIOUR.files(home)
    shutil.copy(file, file.with_name("000002-0123456789ab.parquet"))
    assert findings(home) == [("left over", "behaviour")]
    (line,) = health.repair(home)
    assert "set aside as set-aside/" in line
    assert behaviour.BEHAVIOUR.files(home) == [file]
    assert findings(home) == []
