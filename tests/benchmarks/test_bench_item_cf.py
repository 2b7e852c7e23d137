"""ItemCF beside its peer on the same log."""

import pytest

from benchmarks import bench_item_cf
from tests.benchmarks.printed import line, numbers


def test_both_are_timed(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench_item_cf.main([folder, "--n-neighbours", "10", "--repeat", "1"])
    text = capsys.readouterr().out
    for name in ("matinee", "implicit"):
        assert min(numbers(line(text, name))) >= 0
    assert numbers(line(text, "ratio of the medians"))[0] >= 0
    assert numbers(line(text, "80 items"))[0] == 80
