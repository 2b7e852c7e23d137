"""Swing beside the plain formula."""

import pytest

from benchmarks import bench_swing
from tests.benchmarks.printed import line, numbers


def test_similarities_agree_with_the_formula(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench_swing.main([folder, "--repeat", "1", "--pairs", "200"])
    text = capsys.readouterr().out
    assert numbers(line(text, "peak memory"))[0] > 0
    assert numbers(line(text, "exact: relative"), "max")[0] < 1e-4
    assert numbers(line(text, "default: relative"), "max")[0] >= 0
