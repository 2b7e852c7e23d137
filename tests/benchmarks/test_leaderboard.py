"""The page of evaluations, from what ``evaluate`` wrote."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks import leaderboard
from models.prerank.registry import PRE_RANKERS
from models.rank.registry import RANKERS
from models.recall.registry import CHANNELS
from tasks.commands.evaluate import evaluate

CHOSEN = ["popular", "item_cf"]


@pytest.fixture(scope="module")
def written(folder: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page over one protocol of lists in windows and one of rankers alone."""
    out = tmp_path_factory.mktemp("leaderboard")
    changes = {"rank": {"folds": 2}, "merge": {"method": "equal"}}
    evaluate("rolling", folder, CHOSEN, ["lr"], ks=(10, 50), out=out / "rolling.json", config=changes)
    evaluate("ctr-random", folder, rankers=["lr", "fm"], out=out / "ctr-random.json")
    leaderboard.main([str(out / "ctr-random.json"), str(out / "rolling.json"), "--out", str(out)])
    assert (out / "leaderboard.svg").read_text().startswith("<?xml")
    return out


@pytest.fixture(scope="module")
def page(written: Path) -> str:
    return (written / "leaderboard.md").read_text()


def section(page: str, title: str) -> str:
    return page.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_every_model_has_a_row(page: str) -> None:
    lists = section(page, "rolling")
    for model in (*CHOSEN, "merged", "union", "best_channel", "merged (pre-ranked)", "lr", "published"):
        # Everybody, users known at the start of a window, and unknown ones.
        rows = [row for row in lists.splitlines() if row.startswith(f"| `{model}` |")]
        assert len(rows) in (2, 3), model
    rankers = section(page, "ctr-random")
    assert all(f"| `{model}` |" in rankers for model in ("lr", "fm"))


def test_the_command_measures_the_same_rows_again(page: str) -> None:
    changed = "--channels popular,item_cf --rankers lr --set rank.folds=2 --set merge.method=equal"
    assert changed in " ".join(section(page, "rolling").replace("\\\n", " ").split())
    assert "--rankers lr,fm" in section(page, "ctr-random")


def test_windows_and_strengths_are_there(page: str) -> None:
    assert "| 2001-06-01 |" in section(page, "rolling")
    assert "| `item_cf` |" in section(page, "What each channel is good for")


def test_tables_stay_until_their_command_is_measured_again(
    written: Path, folder: str, tmp_path: Path
) -> None:
    for name in (leaderboard.TABLES, "ctr-random.json", "ctr-random.json.npz"):
        shutil.copy(written / name, tmp_path)
    rows = json.loads((tmp_path / "ctr-random.json").read_text())
    changed = [row | {"value": 0.4321} if row["model"] == "lr" else row for row in rows]
    (tmp_path / "ctr-random.json").write_text(json.dumps(changed))
    evaluate("ctr-random", folder, rankers=["lr"], out=tmp_path / "other.json")
    leaderboard.main([*map(str, sorted(tmp_path.glob("*.json"))), "--out", str(tmp_path)])
    before, now = ((folder / "leaderboard.md").read_text() for folder in (written, tmp_path))
    assert section(now, "rolling") == section(before, "rolling")
    of_ranker = {
        name: re.findall(rf"\| `{name}` \| \**(\d\.\d+)", section(now, "ctr-random")) for name in ("lr", "fm")
    }
    assert len(of_ranker["fm"]) == 1
    assert sorted(of_ranker["lr"])[0] == "0.4321", "measured again"
    assert len(of_ranker["lr"]) == 2, "by the other command too"


def test_the_page_is_that_of_the_kept_rows(tmp_path: Path) -> None:
    shutil.copy(leaderboard.DOCS / leaderboard.TABLES, tmp_path)
    leaderboard.main(["--out", str(tmp_path)])
    assert (tmp_path / "leaderboard.md").read_text() == (leaderboard.DOCS / "leaderboard.md").read_text()


@pytest.mark.parametrize(
    ("stage", "registry"), [("recall", CHANNELS), ("prerank", PRE_RANKERS), ("rank", RANKERS)]
)
def test_everything_in_the_registries_was_measured(stage: str, registry: Mapping[str, object]) -> None:
    tables = leaderboard.read(leaderboard.DOCS / leaderboard.TABLES)
    measured = {row["model"] for rows in tables.values() for row in rows if row["stage"] == stage}
    assert measured >= registry.keys()
