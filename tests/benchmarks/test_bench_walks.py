"""Speed of walks: as many steps as the log and the settings ask for."""

import pytest

from benchmarks import bench_walks
from tests.benchmarks.printed import line, numbers


def test_every_kind_of_walk_takes_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    bench_walks.main(["--users", "30", "--items", "40", "--ratings", "600"])
    text = capsys.readouterr().out
    steps = [numbers(line(text, name), name)[2] for name in bench_walks.CONFIGS]
    assert min(steps) > 0
    assert len(set(steps)) == 1
