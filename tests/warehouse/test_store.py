"""Homes on an object store: two machines at one home, and what keeps a store from being used."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tests import home as homes
from warehouse import store
from warehouse.errors import LostRace, MatineeError
from warehouse.events import catalog, log, shared
from warehouse.releases import journal, publication, queries, retention, serving
from warehouse.releases.rollback import roll_back
from warehouse.runs import files, lifecycle
from warehouse.runs.run import Run, is_whole
from warehouse.store import Store, Taken

Machine = Callable[[str], Path]

ROOT = Path(__file__).parents[2]


def source(folder: Path, ratings: str, movies: str = "") -> str:
    """A source in the layout of ratings.dat."""
    folder.mkdir()
    (folder / "ratings.dat").write_text(ratings)
    if movies:
        (folder / "movies.dat").write_text(movies)
    return str(folder)


def opened(home: Path) -> Store:
    found = store.of(home)
    assert found is not None
    return found


def write_log(home: Path, tmp_path: Path) -> None:
    """The log of ``tests.home``, in a home on a store."""
    plain = homes.write_home(tmp_path / "plain")
    ratings = pl.read_parquet(plain / "events" / "*.parquet")
    lines = [
        f"{user}::{item}::{rating:g}::{int(at.timestamp())}\n"
        for user, item, rating, at in ratings.select("user_id", "item_id", "rating", "event_at").iter_rows()
    ]
    films = "".join(f"{10 * n}::Film {n} ({1980 + n})::Drama\n" for n in range(1, homes.N_ITEMS + 1))
    log.ingest(home, source(tmp_path / "written", "".join(lines), films))


@pytest.fixture
def home(machine: Machine, tmp_path: Path) -> Path:
    """A home with a log, seen from the first machine."""
    first = machine("first")
    write_log(first, tmp_path)
    return first


# Conditional writes.


def test_of_two_writers_of_an_object_one_wins(machine: Machine) -> None:
    one, other = opened(machine("first")), opened(machine("second"))
    assert one.read("head.json") == ({}, None)
    one.swap("head.json", {"by": "one"}, None)
    with pytest.raises(Taken):
        other.swap("head.json", {"by": "other"}, None)
    content, version = other.read("head.json")
    assert content == {"by": "one"}
    other.swap("head.json", {"by": "other"}, version)
    with pytest.raises(Taken):
        one.swap("head.json", {"by": "one again"}, version)
    assert one.read("head.json")[0] == {"by": "other"}


def test_a_writer_whose_answer_was_lost_has_not_lost_the_race(machine: Machine) -> None:
    found = opened(machine("first"))
    found.swap("head.json", {"by": "me"}, None)
    found.swap("head.json", {"by": "me"}, None)  # as a client does by itself after a broken connection


# The log.


def test_a_second_machine_sees_the_log(home: Path, machine: Machine) -> None:
    second = machine("second")
    assert [batch.path.name for batch in log.batches(second)] == [f.name for f in log.event_files(home)]
    assert pl.read_parquet(log.event_files(second)).equals(pl.read_parquet(log.event_files(home)))
    assert catalog.read_items(second).equals(catalog.read_items(home))
    assert log.dataset_name(second) == log.dataset_name(home)


def test_a_source_that_one_machine_ingested_is_known_to_the_other(
    home: Path, machine: Machine, tmp_path: Path
) -> None:
    assert log.ingest(machine("second"), str(tmp_path / "written")).status == "known"


def test_of_two_ingests_at_once_the_second_comes_after_the_first(
    home: Path, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = "1::10::4::1200000000\n"
    mine = source(tmp_path / "mine", both + "1::20::4::1200000001\n", "910::Mine (1999)::War\n")
    theirs = source(tmp_path / "theirs", both + "1::30::4::1200000002\n", "920::Theirs (1999)::War\n")
    second, real = machine("second"), log._append
    log.batches(second)

    def meanwhile(*arguments: Any) -> log.IngestReport:
        monkeypatch.setattr(log, "_append", real)
        log.ingest(second, theirs)
        return real(*arguments)

    monkeypatch.setattr(log, "_append", meanwhile)
    report = log.ingest(home, mine)
    assert (report.batch, report.rows_logged, report.quarantined) == (3, 1, {"duplicate": 1})
    for machine_home in (home, second):
        log.batches(machine_home)
        events = pl.read_parquet(log.event_files(machine_home))
        assert not events.select("user_id", "item_id", "event_at").is_duplicated().any()
        assert [batch.sequence for batch in log.batches(machine_home)] == [1, 2, 3]
        assert {910, 920} <= set(catalog.read_items(machine_home)["item_id"])


def test_what_a_killed_ingest_left_in_the_folder_is_no_part_of_the_log(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = source(tmp_path / "new", "1::10::4::1200000000\n9::999::4::1200000001\n", "930::New (1999)::War\n")
    with monkeypatch.context() as patch:
        patch.setattr(shared, "_push", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.ingest(home, new)
    assert len(log.event_files(home)) == 2  # only in the folder
    assert len(log.batches(home)) == 1
    assert 930 not in set(catalog.read_items(home)["item_id"])
    assert log.ingest(home, new).batch == 2
    assert 930 in set(catalog.read_items(home)["item_id"])


def interrupted(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_objects_that_no_list_names_are_removed_in_the_end(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = opened(home)
    log.ingest(home, source(tmp_path / "a", "1::10::4::1200000000\n", "930::New (1999)::War\n"))
    assert sum("items" in name for name in found.names("catalog")) == 2  # somebody may be fetching the old
    monkeypatch.setattr(store, "GRACE", timedelta(0))
    log.ingest(home, source(tmp_path / "b", "1::10::4::1200000001\n"))
    listed = {facts["key"] for facts in found.read(shared.HEAD)[0]["files"].values()}
    assert {name for folder in shared.FOLDERS for name in found.names(folder)} == listed


# Releases.


def published_elsewhere(home: Path, machine: Machine, name: str = "second") -> Run:
    """A release that another machine publishes."""
    other = machine(name)
    log.batches(other)
    return homes.publish(other)


def test_a_release_is_seen_by_a_machine_that_has_nothing(home: Path, machine: Machine) -> None:
    run = homes.publish(home)
    reader = machine("reader")
    assert serving.current_release(reader) == serving.published_release(reader) == run.id
    assert queries.release(reader)["release_id"] == run.id
    assert len(queries.recommendations(reader, 1, 5)) == 5
    assert not (reader / "events").exists()  # it fetched no more than it asked for
    assert Run.read(reader, run.id).description() == run.description()
    assert is_whole(reader, run.id)
    lifecycle.fetch(reader, run.id)
    theirs = Run.read(reader, run.id)
    assert files.read_parts(theirs, "recommended").equals(files.read_parts(run, "recommended"))
    assert not [f for f in reader.rglob("*.npy") if "log" in f.parts]


def test_the_pointer_tells_consumers_what_to_read(home: Path) -> None:
    run = homes.publish(home)
    pointer, _ = opened(home).read("serving/current.json")
    assert pointer["release_id"] == run.id
    assert {name: pointer[name] for name in ("sha256", "size")} == store.facts(serving.file_of(home, run.id))
    assert opened(home).has(pointer["key"])
    assert serving.where(home) == f"{opened(home).url}/serving/current.json names the file"


def test_a_reader_keeps_no_releases_that_are_gone(home: Path, machine: Machine) -> None:
    reader = machine("reader")
    for _ in range(4):
        homes.publish(home, keep=2)
        queries.release(reader)
    assert len(list((reader / "serving").glob("recs-*"))) <= 2
    assert len(list((home / "serving").glob("recs-*"))) <= 2


def test_retention_removes_objects_and_strips_runs(home: Path) -> None:
    runs = [homes.publish(home, keep=2) for _ in range(4)]
    found = opened(home)
    assert serving.kept_releases(home) == [run.id for run in runs[-2:]]
    releases = [name for name in found.names("serving") if "recs-" in name]
    assert sorted(releases) == [f"serving/recs-{run.id}.duckdb" for run in runs[-2:]]
    assert {name.split("/")[1] for name in found.names("runs")} == {run.id for run in runs[-2:]}
    third = homes.publish(home, keep=10)
    assert not is_whole(home, runs[-2].id)
    assert f"runs/{runs[-2].id}/manifest.json" in found.names("runs")
    assert f"runs/{runs[-2].id}/users.parquet" not in found.names("runs")
    assert [row["release_id"] for row in journal.releases(home)] == [r.id for r in (third, *runs[::-1])]
    assert [row["kept"] for row in journal.releases(home)] == [True, True, True, False, False]


def test_rolled_back_from_another_machine(home: Path, machine: Machine) -> None:
    first, second = homes.publish(home), homes.publish(home)
    other = machine("second")
    assert roll_back(other) == first.id
    assert serving.current_release(home) == first.id
    assert queries.release(home)["release_id"] == first.id
    assert [entry["action"] for entry in journal.entries(home)] == ["publish", "publish", "rollback"]
    assert roll_back(home, second.id) == second.id
    assert queries.release(other)["release_id"] == second.id
    with pytest.raises(MatineeError, match=f"nothing is not kept here; kept are: {first.id}, {second.id}"):
        roll_back(home, "nothing")


def test_a_full_run_takes_in_what_another_machine_published_at_the_same_moment(
    home: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = homes.begin(home)
    homes.compute(run)
    homes.finish(run)
    theirs = at_the_last_moment(monkeypatch, lambda: published_elsewhere(home, machine))
    publication.publish(run, 5, 10)
    assert serving.current_release(home) == run.id
    assert [entry["release_id"] for entry in journal.entries(home)] == [theirs[0].id, run.id]
    assert journal.entries(home)[1]["previous"] == theirs[0].id
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        registered = con.execute("select release_id from releases order by 1").fetchall()
    assert registered == sorted([(theirs[0].id,), (run.id,)])


def test_an_hourly_run_loses_to_another_machine(
    home: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = homes.publish(home)
    run = replace(homes.begin(home), kind="incremental", parent_id=parent.id)
    homes.compute(run)
    homes.finish(run)
    theirs = at_the_last_moment(monkeypatch, lambda: published_elsewhere(home, machine))
    with pytest.raises(LostRace, match="was published while this run computed"):
        publication.publish(run, 5, 10)
    assert serving.current_release(home) == theirs[0].id
    assert run.id not in [entry["release_id"] for entry in journal.entries(home)]


def at_the_last_moment(patch: pytest.MonkeyPatch, work: Callable[[], Run]) -> list[Run]:
    """Something that happens once, when all is sent and the next step is to publish."""
    real, done = journal.append, list[Run]()

    def meanwhile(*arguments: object) -> None:
        patch.setattr(journal, "append", real)
        done.append(work())
        real(*arguments)  # type: ignore[arg-type]

    patch.setattr(journal, "append", meanwhile)
    return done


def test_a_rollback_that_comes_second_says_so(
    home: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes.publish(home)
    homes.publish(home)
    theirs = at_the_last_moment(monkeypatch, lambda: published_elsewhere(home, machine))
    with pytest.raises(LostRace, match="another machine published or rolled back just now"):
        roll_back(home)
    assert serving.current_release(home) == theirs[0].id


KILLED_BEFORE = ("put", "write", "swap")
"""Steps of a publication on a store in their order."""

KILLED = """
import os, signal, sys
from pathlib import Path
from typing import Any
from tests import home as homes
from warehouse.store import Store

setattr(Store, sys.argv[2], lambda *arguments: os.kill(os.getpid(), signal.SIGKILL))
homes.publish(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("step", KILLED_BEFORE)
def test_a_killed_publication_shows_nothing_and_leaves_nothing(
    home: Path, machine: Machine, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = homes.publish(home)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(home), step], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    for seen_from in (home, machine("second")):
        assert serving.current_release(seen_from) == first.id
        assert [entry["release_id"] for entry in journal.entries(seen_from)] == [first.id]
        assert serving.kept_releases(seen_from) == [first.id]
        assert queries.release(seen_from)["release_id"] == first.id
    monkeypatch.setattr(store, "GRACE", timedelta(0))
    last = homes.publish(home, keep=1)
    objects = opened(home).names("serving") | opened(home).names("runs")
    assert sorted(name for name in objects if "recs-" in name) == [f"serving/recs-{last.id}.duckdb"]
    assert {name.split("/")[1] for name in objects if name.startswith("runs/")} == {last.id}
    assert len([name for name in objects if name.startswith("serving/journal/")]) == 2


def test_what_another_machine_is_sending_stays(home: Path) -> None:
    found = opened(home)
    found.write("runs/20010101-000000-000000/manifest.json", {})
    found.write("serving/recs-20010101-000000-000000.duckdb", {})
    homes.publish(home)
    assert found.has(
        "runs/20010101-000000-000000/manifest.json", "serving/recs-20010101-000000-000000.duckdb"
    )


def test_retention_yields_to_a_rollback_at_the_same_moment(
    home: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = homes.publish(home), homes.publish(home)
    other, real = machine("second"), Store.swap

    def rolled_back_before(found: Store, name: str, content: dict, version: str | None) -> None:
        if found.folder == home and content["kept"] == [second.id]:
            monkeypatch.setattr(Store, "swap", real)
            roll_back(other)
        real(found, name, content, version)

    monkeypatch.setattr(Store, "swap", rolled_back_before)
    monkeypatch.setattr(journal, "previous", lambda *_: first.id)
    retention.forget(home, keep=1)
    assert serving.kept_releases(home) == [first.id, second.id]
    assert queries.release(machine("third"))["release_id"] == first.id


# What keeps a store from being used.


def test_a_url_of_something_else_is_refused() -> None:
    for text in ("ftp://host/films", "s3://", "s3:///films"):
        with pytest.raises(MatineeError, match="write a folder, or s3://BUCKET/PREFIX"):
            store.working_folder(text)


def test_errors_say_what_to_set(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path))
    home = store.working_folder("s3://there-is-none/films")
    for use in (serving.current_release, log.batches, journal.entries):
        with pytest.raises(MatineeError, match="there is no bucket there-is-none: create it, or set MATINEE"):
            use(home)
    with pytest.raises(MatineeError, match=r"nothing is published in s3://.*: run `matinee nightly` first"):
        serving.current_file(store.working_folder(url))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(MatineeError, match=r"cannot be reached .*look at the network, AWS_ENDPOINT_URL"):
        serving.current_release(store.working_folder(url))


def test_without_credentials(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with pytest.raises(MatineeError, match="no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        serving.current_release(store.working_folder(url))
