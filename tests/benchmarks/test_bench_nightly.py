"""The nightly flow as a command, measured."""

import pytest

from benchmarks import bench_nightly
from tests.benchmarks.printed import fraction, line, numbers


@pytest.mark.usefixtures("server")
def test_steps_and_recall_are_printed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_SOURCE", "synthetic:0.01")
    bench_nightly.main(["--as-of", "2000-11-20T00:00:00Z", "--set", "recall.channels=[popular,item_cf]"])
    text, errors = capfd.readouterr()
    assert "leaked" not in errors
    for step in (
        "ingest",
        "features",
        "recall popular",
        "recall item_cf",
        "fit merge",
        "recommend",
        "segments",
    ):
        rows, seconds, memory = numbers(line(text, f"{step} "), step)
        assert rows > 0
        assert memory > 0
    seconds, memory = numbers(line(text, "the command, wall"))
    assert min(seconds, memory) > 0
    recall = line(text, "pooled recall@50")
    hits, events, users = numbers(recall, "(")
    assert fraction(recall, "recall@50 ") == pytest.approx(hits / events, abs=1e-4)
    assert 0 < users <= events
