"""Readers beside publications."""

import json
from pathlib import Path

import duckdb
import pytest

from benchmarks import stress
from tests import s3
from tests.benchmarks.printed import numbers


def test_no_read_is_torn(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--seconds", "2", "--source", "synthetic:0.01", "--set", "top_n=5"]
    with pytest.raises(SystemExit) as exit:
        stress.main([*small, "--set", "recall.channels=[popular,segment]"])
    reads, published, problems = capsys.readouterr().out.splitlines()[:3]
    assert numbers(reads)[0] >= 3
    assert "3 processes" in reads
    assert numbers(published)[0] >= 1
    assert problems == "0 errors or torn reads"
    assert exit.value.code == 0


def problems(home: Path, lists: str) -> list[str]:
    """Problems that a reader finds with lists of 2 users and 3 films, given as rows of SQL."""
    (home / "serving").mkdir(parents=True)
    with duckdb.connect(str(home / "serving" / "current.duckdb")) as con:
        con.execute("create table users as select unnest([1, 2]) as user_id")
        con.execute("create table releases as select 'a' as release_id")
        con.execute(
            f"create table recommendations as select * from ({lists}) as t(user_id, rank, release_id)"
        )
    reader = stress.start_reader(home, n_users=2, top_n=3, seconds=0.1)
    answer = json.loads(reader.communicate()[0])
    assert answer["reads"] > 0
    found: list[str] = answer["problems"]
    return found


WHOLE = "values (1, 1, 'a'), (1, 2, 'a'), (1, 3, 'a'), (2, 1, 'a'), (2, 2, 'a'), (2, 3, 'a')"


def test_a_reader_finds_nothing_wrong_with_whole_lists(tmp_path: Path) -> None:
    assert problems(tmp_path, WHOLE) == []


@pytest.mark.parametrize(
    "torn",
    [
        WHOLE.replace("(2, 3, 'a')", "(2, 3, 'b')"),  # rows of two releases
        WHOLE.replace("3, 'a'", "2, 'a'"),  # lists with a gap
        WHOLE.replace("'a'", "'b'"),  # a release that is not registered
    ],
)
def test_a_reader_finds_torn_lists(tmp_path: Path, torn: str) -> None:
    assert any("torn" in problem for problem in problems(tmp_path, torn))


def test_no_read_from_a_store_is_torn(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ["--seconds", "3", "--source", "synthetic:0.01", "--set", "top_n=5"]
    with s3.served() as endpoint:
        s3.use(monkeypatch, endpoint)
        monkeypatch.setenv("MATINEE_CACHE", str(tmp_path))
        new = ["--home", s3.new_home()]
        for problem in (0, f"{new[1]} has releases: name a new home"):
            with pytest.raises(SystemExit) as exit:
                stress.main([*small, *new, "--set", "recall.channels=[popular,segment]"])
            assert exit.value.code == problem
    reads, published, problems = capsys.readouterr().out.splitlines()[:3]
    assert numbers(reads)[0] >= 3
    assert numbers(published)[0] >= 1
    assert problems == "0 errors or torn reads"
