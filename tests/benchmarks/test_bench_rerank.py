"""Re-ranking is timed, and its curve is measured and drawn."""

from pathlib import Path

import pytest

from benchmarks import bench_rerank
from tests.benchmarks.printed import line, numbers

QUICK = [
    "recall.channels=[popular,item_cf]",
    "recall.candidates=40",
    "rank.folds=2",
    "rerank.method=mmr",
    "rerank.diversity=2",
    "rerank.cap.fraction=0.5",
]


def test_diversity_costs_accuracy_and_is_measured(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "curve.svg"
    sets = (word for item in QUICK for word in ("--set", item))
    bench_rerank.main([folder, "--users", "50", "--plot", str(plot), *sets])
    text = capsys.readouterr().out
    for method in ("mmr:", "dpp:"):
        assert numbers(line(text, method), "take")[0] >= 0
    measured = [numbers(line(text, f"mmr {2 * factor:g} "), f"mmr {2 * factor:g} ") for factor in (0, 1, 4)]
    measured.append(numbers(line(text, "none"), "none"))
    for ndcg, films, largest, *distances in measured:
        assert 0 <= ndcg <= 1
        assert 10 <= films <= 80
        assert 0 < largest <= 1
        assert all(0 <= distance <= 2 for distance in distances)
    assert plot.read_text().count("<svg") == 1
