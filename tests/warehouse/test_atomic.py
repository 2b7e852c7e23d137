"""Files that appear whole, also when two writers are after the same one."""

from pathlib import Path

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
