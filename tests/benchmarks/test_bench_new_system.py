"""A system with few ratings, on a small log."""

import pytest

from benchmarks import bench_new_system
from tests.benchmarks.printed import line, numbers


def test_every_model_is_measured_at_every_size(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_new_system, "EVENTS", (100, 400))
    monkeypatch.setattr(bench_new_system, "DRAWS", (2, 2))
    bench_new_system.main(folder)
    text = capsys.readouterr().out
    for size in (100, 400):
        for name in ("popular", "item_cf", "ease", "merged"):
            assert 0 <= numbers(line(text, f"{size} ratings  {name}"), "NDCG@10")[0] < 1
