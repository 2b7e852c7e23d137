"""Pre-rankers beside the merged list."""

import pytest

from benchmarks import bench_prerank
from models.prerank.registry import PRE_RANKERS
from models.rank.candidates import MERGED
from tests.benchmarks.printed import fraction, line, numbers

QUICK = [
    "recall.channels=[popular,item_cf]",
    "recall.candidates=60",
    "prerank.folds=2",
    "rank.folds=2",
]


def test_every_pre_ranker_is_measured(
    folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_prerank, "N_LEFT", 20)
    bench_prerank.main([folder, *(word for item in QUICK for word in ("--set", item))])
    text = capsys.readouterr().out
    (union,) = [row for row in text.splitlines() if "candidates a user hold" in row]
    in_union = fraction(union, "hold")
    assert in_union > 0
    for method in (MERGED, *PRE_RANKERS):
        recall, lost, seconds = numbers(line(text, f"{method:14}"), f"{method:14}")
        assert recall == pytest.approx(in_union * (1 - lost / 100), abs=2e-4)
        assert seconds >= 0
    assert min(numbers(line(text, "ranking all candidates takes"))) >= 0
