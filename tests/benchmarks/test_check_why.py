"""The check of ``matinee why`` on a small release."""

from pathlib import Path

import pytest

from benchmarks import check_why
from tests.benchmarks.printed import line, numbers
from tests.options.steps import home_with_log, published

SETTINGS = {
    "top_n": 5,
    "recall": {"channels": ["popular", "first_session", "item_cf"], "candidates": 40},
    "holdout": {"min_targets": 100},
    "rank": {"ranker": "lr", "pool": 20},
    "rankers": {"lr": {"training": {"epochs": 1}}},
}


def test_pairs_agree_and_a_wrong_release_is_found_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_with_log(tmp_path)
    monkeypatch.setenv("MATINEE_HOME", str(home))
    published(home, SETTINGS)
    capsys.readouterr()
    check_why.main(["--pairs", "30", "--calls", "0"])
    text = capsys.readouterr().out
    assert numbers(line(text, "agree"), "agree") == [30, 30]
    assert numbers(line(text, "in the list"), "list")[0] >= 15
    assert numbers(line(text, "a pair"), "process")[0] > 0
    answer = {
        "lost": None,
        "agrees": True,
        "recall": [{"channel": "mf", "score": 1.0}],
        "merge": {"score": 2},
    }
    assert check_why.agrees(answer, {"score": 2, "score_mf": 1.0})
    assert not check_why.agrees(answer, {"score": 2, "score_mf": 1.5})
    assert not check_why.agrees(answer, {"score": 3, "score_mf": 1.0})
    assert not check_why.agrees(answer, None)
    assert not check_why.agrees(answer | {"agrees": False}, {"score": 2, "score_mf": 1.0})
