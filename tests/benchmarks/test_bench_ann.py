"""Approximate search: losses of every index against the exact one."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import bench_ann
from tests.benchmarks.printed import line, numbers


def losses(text: str) -> dict[str, float]:
    return {name: numbers(line(text, f"{name:18}"), f"{name:18}")[-1] for name in bench_ann.CONFIGS}


def test_every_index_is_compared_with_exact_search(capsys: pytest.CaptureFixture[str]) -> None:
    bench_ann.main(["--items", "2000", "--queries", "50", "--dim", "16", "--n", "10"])
    inner_product, cosine = capsys.readouterr().out.split("cosine, 2,000 vectors")
    for part in (inner_product, cosine):
        found = losses(part)
        assert found["flat"] == 0.0
        assert all(0 <= loss < 0.5 for loss in found.values())


def test_vectors_of_a_file_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "vectors.npy", bench_ann.clustered(1_500, 8))
    bench_ann.main(["--vectors", str(tmp_path / "vectors.npy"), "--queries", "20", "--n", "5"])
    assert "inner_product, 1,500 vectors" in capsys.readouterr().out
