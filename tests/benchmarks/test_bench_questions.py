"""Questions for newcomers beside the most rated films, on a small log."""

import pytest

from benchmarks import bench_questions
from tests.benchmarks.printed import line, numbers


def test_every_way_to_choose_films_is_measured(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_questions, "COUNTS", (5,))
    bench_questions.main(folder)
    text = capsys.readouterr().out
    assert " +0.0000 ± 0.0000" in line(text, "5 questions  popular")
    for name in bench_questions.WAYS:
        assert 0 < numbers(line(text, f"5 questions  {name}"), "NDCG@10")[0] < 1
