"""Readers beside hourly publications."""

import pytest

from benchmarks import bench_day
from tests.benchmarks.printed import line, numbers


@pytest.mark.usefixtures("server")
def test_reads_and_publications_are_counted_and_none_is_torn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_SOURCE", "synthetic:0.01")
    with pytest.raises(SystemExit) as stopped:
        bench_day.main(["--hours", "1", "--set", "recall.channels=[popular,segment]"])
    text = capsys.readouterr().out
    assert stopped.value.code == 0
    published, _ = numbers(next(row for row in text.splitlines() if "publications by" in row))
    assert published <= 1
    assert numbers(line(text, "0 errors or torn reads")) == [0]
    assert all(number > 0 for row in text.splitlines() if "median" in row for number in numbers(row))
