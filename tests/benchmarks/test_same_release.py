"""Comparison of releases, on files written by hand."""

from pathlib import Path

import duckdb
import pytest

from benchmarks import same_release
from benchmarks.same_release import Difference, differences


def release(file: Path, *statements: str) -> Path:
    with duckdb.connect(str(file)) as con:
        con.execute("create table recommendations (user_id bigint, item_id bigint, release_id varchar)")
        con.execute(f"insert into recommendations values (1, 10, '{file.stem}'), (1, 10, '{file.stem}')")
        con.execute(f"insert into recommendations values (2, 20, '{file.stem}')")
        con.execute("create table metrics (metric varchar, value double, seconds double)")
        con.execute("insert into metrics values ('auc', 0.75, random()), ('gauc', null, random())")
        con.execute(f"create table releases as select '{file.stem}' as release_id, now() as made")
        for statement in statements:
            con.execute(statement)
    return file


def by_table(before: Path, after: Path) -> dict[str, Difference]:
    return {one.table: one for one in differences(before, after)}


def test_equal_rows_of_another_run_are_equal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = release(tmp_path / "a.duckdb"), release(tmp_path / "b.duckdb")
    with pytest.raises(SystemExit) as exit:
        same_release.main([str(before), str(after)])
    assert exit.value.code == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [["metrics", "2", "2", "0", "0"], ["recommendations", "3", "3", "0", "0"]]


def test_a_changed_row_is_lost_and_gained(tmp_path: Path) -> None:
    before = release(tmp_path / "a.duckdb")
    after = release(tmp_path / "b.duckdb", "update metrics set value = value + 1e-12 where metric = 'auc'")
    found = by_table(before, after)
    assert found["metrics"] == Difference("metrics", 2, 2, lost=1, gained=1)
    assert found["recommendations"] == Difference("recommendations", 3, 3, lost=0, gained=0)
    with pytest.raises(SystemExit) as exit:
        same_release.main([str(before), str(after)])
    assert exit.value.code == 1


def test_rows_that_are_equal_among_themselves_count_each(tmp_path: Path) -> None:
    before = release(tmp_path / "a.duckdb")
    after = release(tmp_path / "b.duckdb", "insert into recommendations values (1, 10, 'b')")
    assert by_table(before, after)["recommendations"] == Difference("recommendations", 3, 4, 0, 1)


@pytest.mark.parametrize("lacking", ["a", "b"])
def test_a_missing_table_has_no_rows(tmp_path: Path, lacking: str) -> None:
    drop = {lacking: ["drop table metrics"]}
    before, after = (release(tmp_path / f"{name}.duckdb", *drop.get(name, [])) for name in ("a", "b"))
    gone = Difference("metrics", 2, 0, 2, 0) if lacking == "b" else Difference("metrics", 0, 2, 0, 2)
    assert by_table(before, after)["metrics"] == gone
