"""Files that appear whole, also when two writers are after the same one, or one is killed."""

from pathlib import Path

import pytest

from warehouse import atomic
from warehouse.atomic import Staging


def test_of_two_writers_at_once_the_last_to_commit_wins(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with Staging() as first, Staging() as second:
        first.path(file).write_text("first")
        second.path(file).write_text("second")
        first.commit()
        assert file.read_text() == "first"
        second.commit()
        assert file.read_text() == "second"
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_earlier_file_and_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "file"
    atomic.write_text(file, "old")

    def fail() -> None:
        with atomic.replacing(file) as temporary:
            temporary.write_text("half")
            temporary.with_name(f"{temporary.name}.wal").write_text("the log of a database")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert file.read_text() == "old"
    assert list(file.parent.iterdir()) == [file]


def test_a_file_is_replaced_for_new_readers_alone(tmp_path: Path) -> None:
    file, linked = tmp_path / "file", tmp_path / "linked"
    atomic.write_text(file, "old")
    linked.hardlink_to(file)
    with file.open() as reader:
        atomic.write_text(file, "new")
        assert (reader.read(), linked.read_text(), file.read_text()) == ("old", "old", "new")


def test_a_link_leads_to_one_file_or_the_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        atomic.point(tmp_path / "link", name)
        assert (tmp_path / "link").read_text() == name
    with pytest.raises(FileNotFoundError):
        atomic.point(tmp_path / "link", "nowhere")
    assert (tmp_path / "link").readlink() == Path("b")
    assert {file.name for file in tmp_path.iterdir()} == {"a", "b", "link"}


def test_half_a_line_is_cut_off_by_the_next(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    assert atomic.read_lines(file) == []
    atomic.append_line(file, "one")
    with file.open("a") as stream:
        stream.write("hal")
    assert atomic.read_lines(file) == ["one"]
    atomic.append_line(file, "two")
    assert file.read_text() == "one\ntwo\n"
    assert atomic.read_lines(file) == ["one", "two"]


def test_a_sweep_removes_what_a_killed_writer_left_and_nothing_else(tmp_path: Path) -> None:
    temporary = Staging().path(tmp_path / "file")  # never committed, never left
    temporary.write_text("half")
    temporary.with_name(f"{temporary.name}.wal").write_text("the log of a database")
    spilled = temporary.with_name(f"{temporary.name}.tmp")
    spilled.mkdir()
    (spilled / "block").touch()
    (tmp_path / ".lock").touch()
    (tmp_path / "file.parquet").touch()
    atomic.sweep(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {".lock", "file.parquet"}
