"""Time and part watched on made-up behaviour whose truth is given."""

import pytest

from benchmarks import bench_watch
from tests.benchmarks.printed import line, numbers

FAST = ["--set", "rankers.mmoe.training.epochs=2", "--set", "rankers.deep.training.epochs=2"]


def test_minutes_are_printed_beside_direct_regression_and_parts_beside_the_length(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench_watch.main(["synthetic:0.01,watch", *FAST])
    printed = capsys.readouterr().out
    for name in ("weighted logistic", "direct regression"):
        mean, error, of_truth, rmse = numbers(line(printed, name))
        assert 5 < mean < 200
        assert 0 < error < 2
        assert 0 < of_truth < 2
        assert rmse > 0
    for task in ("completion", "finish"):
        observed, predicted, adjusted = numbers(line(printed, task))
        assert observed < 0
        assert abs(adjusted) <= abs(predicted) + 0.3
