"""Ingest beside bare copies of the same rows."""

from pathlib import Path

import pytest

from benchmarks import bench_ingest
from tests.benchmarks.printed import line, numbers
from warehouse.sources import source as sources


def test_files_are_ingested_and_copied_by_the_peers(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench_ingest.main([folder, "--repeat", "2"])
    text = capsys.readouterr().out
    for name in ("matinee", "duckdb, copy only", "polars, copy only"):
        first, median, rows, ratio, peak = numbers(line(text, name), name)
        assert min(rows, peak) > 0
        assert min(first, median) >= 0
    assert ratio > 0


def test_the_peers_copy_every_row(folder: str, tmp_path: Path) -> None:
    source = sources.resolve(folder)
    assert isinstance(source, sources.Files)
    file = source.ratings_from.path
    n = len(file.read_text().splitlines())
    assert bench_ingest.copy_with_duckdb(tmp_path, file, "dat") == n
    assert bench_ingest.copy_with_polars(tmp_path, file, "dat") == n


def test_a_generated_source_has_no_peers(capsys: pytest.CaptureFixture[str]) -> None:
    bench_ingest.main(["synthetic:0.002", "--repeat", "1"])
    text = capsys.readouterr().out
    assert len(numbers(line(text, "matinee"))) == 5
    assert "copy only" not in text
