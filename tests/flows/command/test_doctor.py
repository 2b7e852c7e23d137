"""The state of a home, hostile texts on the terminal, and errors from far below as a line."""

import logging
from pathlib import Path

import pytest

from flows.command.screens.terminal import SafeFormatter
from tests import home as homes
from tests.flows.command import release
from tests.flows.command.conftest import Matinee, read
from warehouse.releases import serving

HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]Film[/] \x9b31m\u202egnp.exe"


def test_a_whole_home_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, matinee: Matinee) -> None:
    home = homes.write_home(tmp_path / "home")
    (home / "catalog" / "dataset.json").write_text('{"name": "hand", "layout": "dat"}')
    run = homes.publish(home)
    monkeypatch.setenv("MATINEE_HOME", str(home))
    called = matinee("doctor")
    assert (called.code, called.err) == (0, "")
    assert run.id in called.out
    answer = read(matinee("doctor", "--json"))
    assert isinstance(answer, dict)
    assert answer["whole"]
    assert all(part["findings"] == [] for part in answer["parts"])
    file = serving.file_of(home, run.id)
    file.write_bytes(file.read_bytes()[:5000])
    called = matinee("recommend", "1")
    assert (called.code, called.err.count("\n")) == (2, 1)
    assert "`matinee doctor --repair`" in called.err
    assert "its bytes are not those that were published" in matinee("doctor").out
    # There is no other release to go back to.
    called = matinee("doctor", "--repair")
    assert called.code == 1
    assert "not repaired" in called.err
    assert "no release is whole: run `matinee nightly`" in called.err


def test_a_home_that_would_be_a_pattern_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, matinee: Matinee
) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home[1]"))
    called = matinee("doctor")
    assert (called.code, called.err.count("\n")) == (2, 1)
    assert "choose a path without *, ? and [" in called.err


def test_what_is_left_over_is_set_aside(home: Path, matinee: Matinee) -> None:
    (home / "serving" / "notes.txt").write_text("x")
    assert matinee("doctor").code == 1
    called = matinee("doctor", "--repair")
    assert called.code == 0
    assert "notes.txt: set aside as set-aside/" in called.err
    assert [file.read_text() for file in (home / "set-aside").iterdir()] == ["x"]


@pytest.mark.parametrize(
    "words",
    [("recommend", "1"), ("similar", "2"), ("recommend", "--likes", "2"), ("similar", "nothing\x1b[2J")],
)
def test_no_title_drives_the_terminal(
    words: tuple[str, ...], home: Path, matinee: Matinee, wide: None
) -> None:
    text = HOSTILE.replace("'", "''")
    release.execute(home, f"update items set title = '{text}' where item_id <= 4")
    release.execute(home, f"update recommendations set title = '{text}', reason = '{text}'")
    release.execute(home, "insert into item_similarity values ('ease', 2, 1, 1, 0.5), ('ease', 2, 3, 2, 0.5)")
    called = matinee(*words)
    printed = called.out + called.err
    assert "[bold red]" in printed or called.code == 2
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(printed)


def test_no_line_of_the_log_drives_the_terminal() -> None:
    record = logging.makeLogRecord({"msg": "source %s", "args": (HOSTILE,)})
    assert SafeFormatter().format(record) == "source �[2J�]0;owned�[bold red]Film[/] �31m�gnp.exe"
