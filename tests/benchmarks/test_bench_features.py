"""Each optional feature beside the default ones, on a small log."""

import pytest

from benchmarks import bench_features
from tests.benchmarks.printed import fraction, line, numbers

QUICK = ["--set", "rank.ranker=lr", "--set", "rankers.lr.training.epochs=1", "--set", "rank.pool=20"]
FEW = ["holiday", "genre_rating"]


def test_every_feature_has_a_difference(
    folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_features, "optional_names", lambda blocks: FEW)
    bench_features.main([folder, "--users", "50", *QUICK])
    text = capsys.readouterr().out
    ndcg, users = numbers(line(text, "default features"), "features")
    assert 0 < ndcg < 1
    assert 1 < users <= 50
    for name in FEW:
        assert 0 < fraction(line(text, name), name) <= 1
        assert abs(numbers(line(text, name), name)[1]) < 1
    assert len(numbers(line(text, "all"), "all")) == 2
