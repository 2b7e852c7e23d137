"""Warm training beside training from scratch."""

import pytest

from benchmarks import bench_warm
from models.pipeline.replay import METRICS
from tests.benchmarks.printed import fraction, line, numbers

QUICK = ["--set", "recall.channels=[two_tower]", "--set", "channels.two_tower.training.epochs=1"]


def test_both_are_measured_on_the_next_day(capsys: pytest.CaptureFixture[str]) -> None:
    bench_warm.main(["synthetic:0.01", "--days", "2000-06-26", *QUICK])
    text = capsys.readouterr().out
    day = line(text, "2000-06-26")
    assert numbers(day, ":")[0] > 0
    assert "of two_tower" in day
    assert min(numbers(day, "; ")) >= 0
    for metric in METRICS:
        row = line(text, metric)
        warm, cold = fraction(row, "warm"), fraction(row, "cold")
        difference, low, high, events, users = numbers(row, "difference")
        assert abs(warm - cold - difference) < 2e-4
        assert low <= difference <= high
        assert 0 < users <= events


def test_a_day_without_events_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    bench_warm.main(["synthetic:0.01", "--days", "2000-11-20", *QUICK])
    assert "nobody with a history rated anything on the next day" in capsys.readouterr().out


def test_without_a_channel_that_learns_on_it_says_so() -> None:
    with pytest.raises(SystemExit, match="learns on"):
        bench_warm.main(["synthetic:0.01", "--set", "recall.channels=[popular]"])
