"""Damage of a home: what finds it, what says so in a line, and what is repaired."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests import home as homes
from tests.warehouse import batches
from warehouse import faults, health
from warehouse.errors import Damaged
from warehouse.events import catalog
from warehouse.events import log as event_log
from warehouse.releases import journal, queries, serving
from warehouse.releases.publication import publish
from warehouse.releases.rollback import recover, roll_back
from warehouse.runs import soundness
from warehouse.runs.run import Run

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two releases and a rating in the quarantine."""
    folder = tmp_path_factory.mktemp("health")
    ratings = [(user, item, 3.0, 1_000_000_000 + user) for user in range(1, 9) for item in (1, 2)]
    source = batches.dat(folder / "source", [*ratings, (1, 99, 3.0, 5)], users=batches.USERS)
    event_log.ingest(folder / "home", source)
    homes.publish(folder / "home")
    homes.publish(folder / "home")
    return folder / "home"


@pytest.fixture
def home(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "home", symlinks=True)


def cut(file: Path) -> None:
    text = file.read_bytes()
    file.write_bytes(text[: len(text) // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip(file: Path) -> None:
    text = bytearray(file.read_bytes())
    text[len(text) // 3] ^= 4
    file.write_bytes(text)


def garbage(file: Path) -> None:
    file.write_bytes(os.urandom(1000))


def lose_a_key(file: Path) -> None:
    facts = json.loads(file.read_text())
    del facts["as_of"]
    file.write_text(json.dumps(facts))


def add_garbage(file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"\xff garbage\n")


def make_a_file(link: Path) -> None:
    text = link.read_bytes()
    link.unlink()
    link.write_bytes(text)


def lead_nowhere(link: Path) -> None:
    link.unlink()
    link.symlink_to("recs-gone.duckdb")


def put_others_beside(link: Path) -> None:
    for name in ("notes.txt", "held-x.json", "recs-20010101-000000-000000.duckdb"):
        (link.parent / name).write_text("x")


BYTES = (cut, empty, flip, garbage)

FAULTS: list[tuple[str, Damage]] = [
    *((name, damage) for name in ("serving/recs-*.duckdb", "catalog/*.parquet") for damage in BYTES),
    *((name, cut) for name in ("quarantine/*.parquet", "runs/*/users.parquet", "runs/*/manifest.json")),
    ("quarantine/*.parquet", flip),
    ("runs/*/user_features.parquet", flip),
    ("runs/*/manifest.json", lose_a_key),
    ("catalog/dataset.json", cut),
    ("serving/journal.jsonl", add_garbage),
    ("serving/journal.jsonl", flip),
    ("serving/current.duckdb", make_a_file),
    ("serving/current.duckdb", lead_nowhere),
    ("serving/current.duckdb", Path.unlink),
    ("serving/current.duckdb", put_others_beside),
]
"""The file that is damaged, of several the last, and how."""


def findings(home: Path) -> list[health.Finding]:
    return [finding for part in health.examine(home) for finding in part.findings]


def test_nothing_is_found_where_nothing_is_damaged(home: Path) -> None:
    assert findings(home) == []
    assert health.repair(home) == []


@pytest.mark.parametrize(("name", "damage"), FAULTS)
def test_damage_is_found_and_repaired(name: str, damage: Damage, home: Path) -> None:
    releases = [row["release_id"] for row in journal.publications(home)]
    damage(sorted(home.glob(name))[-1])
    assert findings(home)
    assert health.repair(home)
    assert findings(home) == []
    # Lists are there, of this release or the one before, and the journal still knows both.
    assert queries.recommendations(home, 1, 1)
    assert [row["release_id"] for row in journal.publications(home)] == releases
    assert catalog.read_items(home).height == len(batches.MOVIES)
    assert event_log.dataset_name(home) == "source"


@pytest.mark.parametrize("damage", BYTES)
def test_damage_of_ratings_stops_everything_that_reads_them_and_left_to_people(
    damage: Damage, home: Path
) -> None:
    file = next(home.glob("events/*.parquet"))
    damage(file)
    for read in (
        lambda: event_log.batches(home),
        lambda: event_log.ingest(home, batches.dat(home / "new", [(1, 3, 4.0, 10**9)])),
        lambda: event_log.take_back(home),
    ):
        with pytest.raises(Damaged, match=f"{file.name} is damaged .*: put a copy of it back, or remove it"):
            read()
    assert health.repair(home) == []
    assert [finding.path for finding in findings(home)] == [file]
    # What it says helps.
    file.unlink()
    assert event_log.ingest(home, str(home / "new")).status == "new"
    assert findings(home) == []


def test_a_damaged_run_is_found_before_it_is_gone_on_from(home: Path) -> None:
    run = Run.read(home, serving.published_release(home))
    soundness.check(run)
    flip(run.file("users.parquet"))
    with pytest.raises(Damaged, match=r"users.parquet is not what was written.*run `matinee nightly`"):
        soundness.check(run)
    run.file("users.parquet").unlink()
    with pytest.raises(Damaged, match=r"users.parquet is missing"):
        soundness.check(run)


def test_nobody_goes_back_to_a_damaged_release(home: Path) -> None:
    before, now = (row["release_id"] for row in journal.publications(home))
    flip(serving.file_of(home, before))
    with pytest.raises(Damaged, match=f"{before}.duckdb is damaged .* `matinee rollback {now}`"):
        roll_back(home)


def test_a_damaged_release_is_gone_back_from_and_the_journal_says_why(home: Path) -> None:
    before, now = (row["release_id"] for row in journal.publications(home))
    assert recover(home) is None
    flip(serving.file_of(home, now))
    assert recover(home) == (
        f"release {now} is damaged (its bytes are not those that were published): "
        f"release {before} is published again"
    )
    entry = journal.entries(home)[-1]
    assert (entry["action"], entry["from"], entry["release_id"]) == ("rollback", now, before)
    assert "its bytes" in entry["damaged"]
    assert serving.published_release(home) == before
    garbage(serving.file_of(home, before))
    assert recover(home) is None  # the other one came later, and is damaged too


def test_a_release_that_somebody_went_back_from_does_not_come_back(home: Path) -> None:
    before, rejected = (row["release_id"] for row in journal.publications(home))
    roll_back(home)
    third = homes.publish(home).id
    flip(serving.file_of(home, third))
    health.repair(home)
    assert serving.published_release(home) == before
    assert serving.file_of(home, rejected).exists()


def test_a_run_publishes_after_a_damaged_release_was_gone_back_from(home: Path) -> None:
    run = homes.begin(home)
    homes.compute(run)
    homes.finish(run)
    flip(serving.file_of(home, serving.published_release(home)))
    assert recover(home)
    publish(run, 5, 10)
    assert serving.published_release(home) == run.id


def test_a_new_release_is_not_held_against_a_damaged_one(home: Path) -> None:
    garbage(serving.file_of(home, serving.published_release(home)))
    run = homes.publish(home)
    assert serving.published_release(home) == run.id


def test_what_is_lost_from_a_journal_comes_from_a_release(home: Path) -> None:
    entries = journal.entries(home)
    journal.file_of(home).write_text("garbage\n")
    health.repair(home)
    again = journal.entries(home)
    assert [entry["release_id"] for entry in again] == [entry["release_id"] for entry in entries]
    assert journal.newest_full(home, Run.read(home, entries[-1]["release_id"]).as_of)


def test_a_publication_that_was_cut_short_is_completed(home: Path) -> None:
    before, now = (row["release_id"] for row in journal.publications(home))
    serving.make_current(home, before)  # as a full disk leaves it, after the entry of the journal
    assert [found.state for found in findings(home)] == ["left over"]
    health.repair(home)
    assert serving.current_release(home) == now
    assert len(journal.entries(home)) == 2


def test_a_home_may_have_a_quote_in_its_name_and_others_see_of_it_what_the_umask_lets_them(
    tmp_path: Path,
) -> None:
    before = os.umask(0o027)
    try:
        home = homes.write_home(tmp_path / "it's a home")
        homes.publish(home)
        assert queries.recommendations(home, 1, 1)
    finally:
        os.umask(before)
    assert not [file for file in home.rglob("*") if not file.is_symlink() and file.stat().st_mode & 0o007]


def test_a_catalogue_without_any_release_is_to_be_put_back(tmp_path: Path) -> None:
    event_log.ingest(tmp_path / "home", batches.dat(tmp_path / "source", [(7, 1, 4.0, 10**9)]))
    flip(tmp_path / "home" / "catalog" / "items.parquet")
    (line,) = health.repair(tmp_path / "home")
    assert line.startswith("not repaired: ")
    assert line.endswith("put a copy of it back")


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError("1048576 requested and 524288 written"),
        duckdb.IOException("IO Error: Could not write file: No space left on device"),
    ],
)
def test_a_full_disk_is_named_whoever_meets_it(error: Exception, home: Path) -> None:
    assert "is full: free some space, then run the same command again" in str(faults.explained(error, home))
    wrapped = ValueError("something else")
    wrapped.__cause__ = error
    assert "is full" in str(faults.explained(wrapped, home))


def test_an_error_is_explained_by_what_is_damaged_or_not_at_all(home: Path) -> None:
    error = duckdb.IOException("what readers say of a damaged file")
    assert faults.explained(error, home) is None
    flip(next(home.glob("catalog/items.parquet")))
    assert "items.parquet" in str(faults.explained(error, home))
    assert faults.explained(AssertionError("a bug"), home) is None
