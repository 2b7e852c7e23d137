"""The published lists, judged by each user's last film."""

from pathlib import Path

import pytest

from benchmarks import bench_next
from tests.benchmarks.printed import fraction, line, numbers


@pytest.mark.usefixtures("server")
def test_metrics_of_the_published_lists(folder: str, capfd: pytest.CaptureFixture[str]) -> None:
    bench_next.main([folder, "--set", "recall.channels=[popular,item_cf]"])
    text = capfd.readouterr().out
    assert numbers(line(text, "recommend "))[0] > 0
    row = line(text, "HR@10")
    hr10, ndcg10, hr50 = (fraction(row, f"{name} ") for name in ("HR@10", "NDCG@10", "HR@50"))
    assert ndcg10 <= hr10 <= hr50
    assert hr50 > 0
    assert numbers(row, "of")[0] == 60


def test_the_last_rating_of_every_user_is_left_out(folder: str, tmp_path: Path) -> None:
    last = bench_next.split(Path(folder), tmp_path / "before")
    rows = [line.split("::") for line in Path(folder, "ratings.dat").read_text().splitlines()]
    left = [line.split("::") for line in (tmp_path / "before" / "ratings.dat").read_text().splitlines()]
    newest: dict[str, list[str]] = {}
    for row in rows:
        if row[0] not in newest or int(row[3]) >= int(newest[row[0]][3]):
            newest[row[0]] = row
    assert {(int(user), int(row[1])) for user, row in newest.items()} == set(last.iter_rows())
    assert len(left) == len(rows) - len(newest)
    assert not {tuple(row) for row in newest.values()} & {tuple(row) for row in left}
