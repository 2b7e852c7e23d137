"""Threads that sleep while they wait, timed in processes of their own; the other ways differ by a number."""

import pytest

from benchmarks import bench_waiting
from tests.benchmarks.printed import numbers


def test_a_way_to_wait_is_timed_alone_and_beside_another_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_waiting, "TURNS", {"sleep": "0"})
    bench_waiting.main(["synthetic:0.01"])
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[:2] for row in rows] == [["sleep", "alone"], ["sleep", "beside"]]
    assert all(numbers(row)[0] > 0 for row in rows)
