"""Rows of idle ids given to active ones, week after week."""

import pytest

from benchmarks import bench_retirement
from tests.benchmarks.printed import numbers


def test_lists_and_moved_rows_by_days(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    quick = [
        "--set",
        "channels.two_tower.training.epochs=1",
        "--set",
        "channels.two_tower.towers.own_rate=0.5",
    ]
    bench_retirement.main([folder, "--since", "2002-06-01", "--weeks", "2", "--days", "2", *quick])
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[2] for row in rows] == ["2", "inf"]
    for row in rows:
        hr, ndcg = numbers(row, "HR@10")[0], numbers(row, "NDCG@10")[0]
        assert 0 <= ndcg <= hr <= 1
    assert rows[1].endswith("rows moved: 0 of users, 0 of films")
