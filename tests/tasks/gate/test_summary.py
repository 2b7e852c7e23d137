"""The page of a run begins with the verdict and shows which way metrics went."""

import json
from datetime import datetime, timedelta
from typing import Any

from tasks.gate.config import GateConfig
from tasks.gate.summary import Made, summary
from tasks.gate.verdict import judge
from tests.tasks.gate.measured import ORDINARY, but

AS_OF = datetime(2026, 1, 15)
NOW = {check.check: check.value for check in judge(ORDINARY, GateConfig()) if check.value is not None}
METRIC = next(name for name in NOW if name.startswith("metrics: "))
MODEL = METRIC.removeprefix("metrics: ")


def before(days: int, factor: float, top_n: int = 50) -> dict[str, Any]:
    """A full release so many days earlier, whose metric was the present one times a factor."""
    at = AS_OF - timedelta(days=days)
    return {
        "release_id": f"{at:%Y%m%d}-030000-000000",
        "as_of": at.isoformat(),
        "n_events": 900_000,
        "config": json.dumps({"top_n": top_n}),
        "measured": {METRIC: NOW[METRIC] * factor},
    }


def page(*earlier: dict[str, Any], **changes: Any) -> str:
    checks = judge(but(**changes), GateConfig())
    steps = {"features": 1.0, "recall ease": 3.0, "fit rank": 20.0, "recommend": 60.0}
    made = Made("20260115-030000-000000", AS_OF, 1_000_000, {"top_n": 10}, checks, steps)
    return summary(made, earlier)


def test_metrics_stand_beside_those_of_yesterday_and_of_last_week() -> None:
    text = page(before(8, 1.25), before(7, 1.0), before(1, 0.8))
    assert text.startswith("# Published: release 20260115-030000-000000")
    now = NOW[METRIC]
    assert f"| {MODEL} | {now:.4f} | {0.8 * now:.4f} ▲ 25.0% | {now:.4f} = |" in text.splitlines()
    assert "before, as of 2026-01-14" in text
    assert "a week before, as of 2026-01-08" in text


def test_what_changed_and_how_long_it_took() -> None:
    text = page(before(1, 1.0))
    assert "+100,000 ratings since the full release as of 2026-01-14" in text
    assert "settings: `top_n`" in text
    assert "84.0 s in 4 steps; longest: recommend 60.0 s, fit rank 20.0 s, recall ease 3.0 s" in text
    assert "settings" not in page(before(1, 1.0, top_n=10))


def test_a_first_release_and_one_of_a_former_version_have_nothing_to_be_held_against() -> None:
    assert "| model | now |" in page()
    assert "What changed" in page(before(1, 1.0) | {"measured": {}})


def test_the_page_of_a_held_release_begins_with_what_failed() -> None:
    text = page(before(1, 1.0), rejected={"malformed": 5_000})
    assert text.startswith("# Held: release 20260115-030000-000000 is not published")
    assert text.index("| **blocks** | quarantined |") < text.index("## NDCG")


def test_an_earlier_as_of_is_held_against_what_was_before_it_in_time() -> None:
    later = before(-1, 1.0) | {"release_id": "20260114-030000-000000"}
    assert "before, as of" not in page(later)
