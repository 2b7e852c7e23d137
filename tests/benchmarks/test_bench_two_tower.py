"""Presets of the two-tower family, alone."""

import pytest

from benchmarks import bench_two_tower
from tests.benchmarks.printed import line, numbers

QUICK = ["--set", "channels.two_tower.training.epochs=1", "--set", "seed=3"]


def test_metrics_of_a_preset(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench_two_tower.main([folder, *QUICK])
    row = line(capsys.readouterr().out, "two_tower")
    assert "seed 3" in row
    at_10, at_50, at_300, _, ndcg = numbers(row, "@300 ")
    assert 0 <= at_10 <= at_50 <= at_300 <= 1
    assert 0 <= ndcg <= at_10


def test_an_unknown_channel_is_refused_in_one_line(folder: str) -> None:
    with pytest.raises(SystemExit, match="unknown channel 'tow_tower'"):
        bench_two_tower.main([folder, "--channels", "tow_tower"])


def test_a_channel_of_another_family_is_refused_in_one_line(folder: str) -> None:
    with pytest.raises(SystemExit, match="item_cf is no preset of the two-tower family"):
        bench_two_tower.main([folder, "--channels", "item_cf"])
