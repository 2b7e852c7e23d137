"""A simulated month in miniature."""

from pathlib import Path

import pytest

from benchmarks import simulate
from tests.benchmarks.printed import line, numbers


def test_two_days_and_an_experiment_of_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--users", "60", "--films", "80", "--days", "2", "--experiments", "1"]
    simulate.main([*size, "--out", str(tmp_path / "plot.svg")])
    text = capsys.readouterr().out
    week = numbers(line(text, "days"), "shown:")
    assert all(0 < fraction < 1 for fraction in week)
    for name in ("a better arm", "no difference"):
        assert numbers(line(text, name))[0] in (0, 1)
    assert (tmp_path / "plot.svg").stat().st_size > 1000
