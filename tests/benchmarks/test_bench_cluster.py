"""Shards by one process and by workers."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_cluster
from tests.benchmarks.printed import line, numbers
from tests.options.steps import home_with_log, published

SETTINGS: dict[str, Any] = {
    "top_n": 5,
    "recall": {"channels": ["popular", "item_cf", "mf"], "candidates": 40},
    "rank": {"ranker": "lr", "pool": 20},
    "rankers": {"lr": {"training": {"epochs": 1}}},
    "engine": {"shard_users": 12},
}


def test_workers_compute_the_same_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_with_log(tmp_path)
    monkeypatch.setenv("MATINEE_HOME", str(home))
    published(home, SETTINGS)
    capsys.readouterr()
    bench_cluster.main(["--workers", "1", "--shard-users", "30", "--kills", "1"])
    text = capsys.readouterr().out
    assert numbers(line(text, "run "), ":")[0] == 2
    assert numbers(line(text, "one process"), "process")[0] > 0
    assert text.count("the same rows") == 2
    assert "the same rows, 1 of them killed" in text
    assert numbers(line(text, "twice, at once"), "once")[0] > 0
    assert not [path for path in home.iterdir() if path.name.startswith("tmp")]
