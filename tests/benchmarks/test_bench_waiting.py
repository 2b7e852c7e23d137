"""Threads that turn and threads that sleep, timed in processes of their own."""

import pytest

from benchmarks import bench_waiting
from tests.benchmarks.printed import numbers


def test_ways_to_wait_are_timed_alone_and_beside_another_process(capsys: pytest.CaptureFixture[str]) -> None:
    bench_waiting.main(["synthetic:0.01"])
    rows = capsys.readouterr().out.splitlines()
    names = ("OpenMP", "Matinee", "sleep")
    expected = [[name, where] for where in ("alone", "beside") for name in names]
    assert [row.split()[:2] for row in rows] == expected
    assert all(numbers(row)[0] > 0 for row in rows)
