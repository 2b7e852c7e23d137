"""People of whom few ratings are known, on a small log."""

import pytest

from benchmarks import bench_first_ratings
from tests.benchmarks.printed import line, numbers


def test_every_number_of_ratings_is_measured(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench_first_ratings.main([folder, "--set", "recall.channels=[first_session,item_cf]"])
    text = capsys.readouterr().out
    for n in bench_first_ratings.HISTORIES:
        row = line(text, f"known {n:2d}")
        assert 0 < numbers(row, "published")[0] < 1
        assert all(f"less {name}" in row for name in bench_first_ratings.WITHOUT_TASTE)
    assert numbers(line(text, "known  0"), "first_session") == [0, 0, 0]
