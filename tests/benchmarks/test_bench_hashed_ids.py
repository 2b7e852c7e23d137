"""Hashed ids against dense ones."""

import pytest

from benchmarks import bench_hashed_ids
from tests.benchmarks.printed import line, numbers

QUICK = [
    "--set",
    "channels.two_tower.training.epochs=1",
    "--set",
    "channels.two_tower.training.first_vectors.epochs=1",
]


def test_a_row_for_each_size(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench_hashed_ids.main([folder, "--rates", "0.5", "--validation", *QUICK])
    out = capsys.readouterr().out
    dense, half, one = (line(out, f"| {name} ") for name in ("dense", "hashed", "one hash"))
    of_dense, of_half, of_one = (numbers(row, "| ") for row in (dense, half, one))
    assert [of_dense[0], of_half[0], of_one[0]] == [1, 0.5, 0.25]
    for _, hits, ndcg, *_ in (of_dense, of_half, of_one):
        assert 0 <= ndcg <= hits <= 1
    assert min(of_one[3], of_half[3], of_dense[3]) > 0
    assert 0 <= of_half[5] <= of_half[4] < of_one[4] <= 1
