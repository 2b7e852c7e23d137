"""Bloom filters beside exact sets."""

import pytest

from benchmarks import bench_bloom
from tests.benchmarks.printed import line, numbers


def test_errors_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    bench_bloom.main(["--users", "500", "--shown", "20", "--rate", "0.05", "--probes", "200000"])
    text = capsys.readouterr().out
    assert numbers(line(text, "held: false negatives"), "negatives:") == [0]
    assert numbers(line(text, "false-positive rate"), "ratio")[0] == pytest.approx(1, abs=0.1)
    assert numbers(line(text, "held: 200"), "ratio")[0] > 0
    assert numbers(line(text, "bytes a user"))[0] < numbers(line(text, "bytes a user"), "set")[0]
