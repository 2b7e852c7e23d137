"""Threads that turn and threads that sleep, timed in processes of their own."""

import pytest

from benchmarks import bench_waiting
from tests.benchmarks.printed import numbers


def test_both_policies_are_timed_alone_and_beside_another_process(capsys: pytest.CaptureFixture[str]) -> None:
    bench_waiting.main(["synthetic:0.01"])
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[:2] for row in rows] == [
        [policy, where] for where in ("alone", "beside") for policy in ("active", "passive")
    ]
    assert all(numbers(row)[0] > 0 for row in rows)
