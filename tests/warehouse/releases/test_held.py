"""Releases that the gate holds: there to be looked at, published only on purpose, gone in the end."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from tests import home as homes
from warehouse import sql
from warehouse.errors import Held, MatineeError
from warehouse.releases import journal, retention, serving
from warehouse.releases.checks import Check
from warehouse.releases.publication import publish, publish_held
from warehouse.releases.rollback import roll_back
from warehouse.runs import lifecycle
from warehouse.runs.run import Run, check_whole

BAD = Check("recommendations", "top film", False, 0.9, 0.5, True, "top film: 0.9 of the pages (at most 0.5)")
WARNING = Check("events", "drift: genre", False, 0.9, 0.5, False, "drift: genre: 0.9 (at most 0.5)")

FAILED = 'select "check", value, "limit", blocking from checks where not passed order by 1'


def judged(home: Path, *checks: Check, parent: Run | None = None) -> Run:
    """A run, published unless the checks hold it."""
    run = homes.begin(home)
    if parent is not None:
        lifecycle.abandon(run)
        run = replace(run, kind="incremental", parent_id=parent.id)
        lifecycle.begin(run)
    homes.compute(run)
    homes.finish(run)
    publish(run, 5, 10, lambda *_: checks)
    return run


def held(home: Path, parent: Run | None = None) -> str:
    """The id of a release that is held."""
    with pytest.raises(Held, match=r"is held: top film: 0.9 .*--force --why") as error:
        judged(home, BAD, WARNING, parent=parent)
    assert "\n" not in str(error.value)
    release: str = journal.held(home)[-1]["release_id"]
    return release


def ask(file: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(file), read_only=True) as con:
        return con.execute(query).fetchall()


def test_a_release_with_warnings_is_published_with_all_its_checks(home: Path) -> None:
    run = judged(home, WARNING)
    file = serving.current_file(home)
    assert ask(file, FAILED) == [("drift: genre", 0.9, 0.5, False)]
    assert ask(file, "select count(*) from checks where passed and blocking") == [(len(sql.names("checks")),)]
    assert ask(file, "select distinct release_id from checks") == [(run.id,)]


def test_readers_hear_of_a_first_release_that_is_held(home: Path) -> None:
    with pytest.raises(MatineeError, match="run `matinee nightly` first"):
        serving.current_file(home)
    release = held(home)
    with pytest.raises(MatineeError, match=f"release {release} is held .*--force --why"):
        serving.current_file(home)


def test_a_held_release_can_be_looked_at_and_changes_nothing(home: Path) -> None:
    first = homes.publish(home)
    entries = journal.entries(home)
    release = held(home)
    assert serving.current_release(home) == first.id
    assert serving.kept_releases(home) == [first.id]
    assert journal.entries(home) == entries
    assert [row["failed"] for row in journal.held(home)] == [[BAD.message]]
    assert ask(serving.held_file(home, release), FAILED) == [
        ("drift: genre", 0.9, 0.5, False),
        ("top film", 0.9, 0.5, True),
    ]
    assert retention.unfinished(home) == [], "no run goes on with it"
    with pytest.raises(MatineeError, match="is held: see `matinee publish --help`"):
        roll_back(home, release)


def test_a_held_release_is_published_with_the_reason(home: Path) -> None:
    first = homes.publish(home)
    release = held(home)
    later = judged(home, parent=first)  # an hourly run meanwhile
    publish_held(home, release, 5, 10, "a festival")
    assert serving.current_release(home) == release
    entry = journal.entries(home)[-1]
    assert (entry["action"], entry["release_id"], entry["why"]) == ("publish", release, "a festival")
    assert ask(serving.current_file(home), FAILED)[-1] == ("top film", 0.9, 0.5, True)
    carried = ask(serving.current_file(home), "select distinct release_id from recommendations")
    assert carried == [(later.id,)], "whom an hour refreshed keeps those rows"
    assert journal.held(home) == []
    assert not serving.held_file(home, release).exists()
    assert ask(serving.current_file(home), "select count(*) from releases") == [(3,)]
    assert roll_back(home) == later.id


def test_only_what_is_held_and_goes_on_from_what_is_published_can_be_forced(home: Path) -> None:
    first = homes.publish(home)
    release = held(home, parent=first)
    with pytest.raises(MatineeError, match=f"nonsense is not held here; held are: {release}"):
        publish_held(home, "nonsense", 5, 10, "why not")
    publish_held(home, release, 5, 10, "why not")
    assert serving.current_release(home) == release
    again = held(home, parent=Run.read(home, release))
    roll_back(home, first.id)
    with pytest.raises(MatineeError, match=f"now {first.id} is published"):
        publish_held(home, again, 5, 10, "why not")
    assert serving.current_release(home) == first.id


def test_held_releases_stay_as_long_as_somebody_may_publish_them(home: Path) -> None:
    first = homes.publish(home)
    older = held(home)
    newer = held(home)
    assert [row["release_id"] for row in journal.held(home)] == [newer]
    assert not serving.held_file(home, older).exists()
    hour = held(home, parent=first)
    assert {row["release_id"] for row in journal.held(home)} == {newer, hour}
    judged(home, parent=first)
    assert [row["release_id"] for row in journal.held(home)] == [newer]
    check_whole(Run.read(home, newer))
    assert not (home / "runs" / older).exists()
    (home / "serving" / "held-of-a-killed-run.duckdb").touch()
    homes.publish(home)
    assert journal.held(home) == []
    assert list((home / "serving").glob("held-*")) == []
    assert not (home / "runs" / newer).exists()
