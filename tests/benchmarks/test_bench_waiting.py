"""Threads that turn and threads that sleep, timed in processes of their own."""

import pytest

from benchmarks import bench_waiting
from tests.benchmarks.printed import numbers


def test_ways_to_wait_are_timed_alone_and_beside_another_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("Matinee", "sleep")  # a process of its own each time, which has to load torch
    monkeypatch.setattr(bench_waiting, "TURNS", {name: bench_waiting.TURNS[name] for name in names})
    bench_waiting.main(["synthetic:0.01"])
    rows = capsys.readouterr().out.splitlines()
    expected = [[name, where] for where in ("alone", "beside") for name in names]
    assert [row.split()[:2] for row in rows] == expected
    assert all(numbers(row)[0] > 0 for row in rows)
