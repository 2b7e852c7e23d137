"""The page of evaluations, from what ``evaluate`` wrote."""

import pytest

from benchmarks import leaderboard
from tasks.commands.evaluate import evaluate

CHANNELS = ["popular", "item_cf"]


@pytest.fixture(scope="module")
def page(folder: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page over one protocol of lists in windows and one of rankers alone."""
    out = tmp_path_factory.mktemp("leaderboard")
    evaluate("rolling", folder, CHANNELS, ["lr"], ks=(10, 50), out=out / "rolling.json")
    evaluate("ctr-random", folder, rankers=["lr", "fm"], out=out / "ctr-random.json")
    leaderboard.main([str(out / "ctr-random.json"), str(out / "rolling.json"), "--out", str(out)])
    assert (out / "leaderboard.svg").read_text().startswith("<?xml")
    return (out / "leaderboard.md").read_text()


def section(page: str, title: str) -> str:
    return page.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_every_model_has_a_row(page: str) -> None:
    lists = section(page, "rolling")
    for model in (*CHANNELS, "merged", "union", "best_channel", "merged (pre-ranked)", "lr", "published"):
        # Everybody, users known at the start of a window, and unknown ones.
        rows = [row for row in lists.splitlines() if row.startswith(f"| `{model}` |")]
        assert len(rows) in (2, 3), model
    rankers = section(page, "ctr-random")
    assert all(f"| `{model}` |" in rankers for model in ("lr", "fm"))


def test_the_command_measures_the_same_rows_again(page: str) -> None:
    assert "--channels popular,item_cf" in section(page, "rolling")
    assert "--rankers lr,fm" in section(page, "ctr-random")


def test_windows_and_strengths_are_there(page: str) -> None:
    assert "| 2001-06-01 |" in section(page, "rolling")
    assert "| `item_cf` |" in section(page, "What each channel is good for")
