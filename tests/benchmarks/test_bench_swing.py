"""Swing beside the plain formula."""

import pytest

from benchmarks import bench_swing
from tests.benchmarks.printed import line, numbers


def test_cells_agree_with_the_formula(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench_swing.main([folder, "--repeat", "1", "--cells", "200"])
    text = capsys.readouterr().out
    assert numbers(line(text, "run 1"), ":")[0] >= 0
    assert numbers(line(text, "peak memory"))[0] > 0
    (cells,) = [row for row in text.splitlines() if "cells" in row]
    assert numbers(cells)[0] > 100
    assert numbers(cells, "from the formula")[0] < 1e-4
