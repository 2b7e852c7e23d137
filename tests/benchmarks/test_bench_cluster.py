"""Shards by one process and by workers."""

from pathlib import Path

import pytest

from benchmarks import bench_cluster, commands
from tests.benchmarks.printed import line, numbers

QUICK = ["recall.channels=[popular,item_cf,mf]", "rank.ranker=lr", "engine.shard_users=20", "top_n=5"]


@pytest.mark.usefixtures("server")
def test_workers_compute_the_same_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    commands.nightly(QUICK, source="synthetic:0.01")
    capsys.readouterr()
    bench_cluster.main(["--workers", "1", "--shard-users", "30"])
    text = capsys.readouterr().out
    assert numbers(line(text, "run "), ":")[0] == 2
    assert numbers(line(text, "one process"), "process")[0] > 0
    assert "the same rows" in line(text, "1 workers")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("tmp")]
