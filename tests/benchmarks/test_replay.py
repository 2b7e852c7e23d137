"""The page of replays, from what ``replay`` wrote."""

import pytest

from benchmarks import replay
from models.pipeline.replay import POLICIES
from tasks.commands.replay import replay as live_through

QUICK = {"recall": {"channels": ["two_tower"]}, "channels": {"two_tower": {"training": {"epochs": 1}}}}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("replay")
    live_through("2000-11-20", "2000-11-21", "synthetic:0.01", out=out / "days.json", config=QUICK)
    replay.main([str(out / "days.json"), "--out", str(out)])
    assert (out / "replay.svg").read_text().startswith("<?xml")
    return (out / "replay.md").read_text()


def test_every_policy_has_a_row_in_every_slice(page: str) -> None:
    assert "## 2000-11-20 to 2000-11-21" in page
    slices = page.count("| policy |")
    assert slices >= 1
    for policy in POLICIES:
        assert page.count(f"\n| {policy} | 0.") + page.count(f"\n| {policy} | 1.") == slices


@pytest.mark.parametrize(
    ("low", "high", "bold"), [(-0.1, 0.1, False), (0.01, 0.1, True), (-0.1, -0.01, True)]
)
def test_a_difference_is_bold_where_0_is_outside(low: float, high: float, bold: bool) -> None:
    text = replay.change({"value": (low + high) / 2, "ci_low": low, "ci_high": high})
    assert text.startswith("**") == bold
    assert f"[{low:+.4f}, {high:+.4f}]" in text
