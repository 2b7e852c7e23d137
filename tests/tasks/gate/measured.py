"""Measurements of an ordinary release, made up, and of broken ones."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from tasks.gate.config import GateConfig
from tasks.gate.measures import Measurements, Metric, Pages
from tasks.gate.verdict import judge
from warehouse.releases.checks import Check
from warehouse.releases.measures import Arrived, Histograms

ORDINARY = Measurements(
    ahead=-3600.0,
    arrived=Arrived(
        events=9_000,
        of_a_user=400,
        of_a_film=90,
        rows_read=10_000,
        rejected={"duplicate": 900, "malformed": 100},
    ),
    volume=(np.array([8_000.0, 10_000, 9_500, 9_000, 11_000, 8_500, 9_200, 10_400]), 9_000.0),
    histograms={"rating": Histograms(np.array([100, 300, 600]) * 100, np.array([110, 290, 600]), 2_000, 300)},
    metrics={"merged": Metric(0.10, 1_000, 0.105, 1_000)},
    n_states=3,
    pages=Pages({"some": np.full(500, 0.8)}, 500, 1_000, 1_050, n_personal=500, top_film=0.1, fillers=0.01),
)


def failed(measured: Measurements, gate: GateConfig | None = None) -> list[str]:
    """The names of the blocking checks that fail."""
    return [check.check for check in judge(measured, gate or GateConfig()) if check.holds]


def outcomes(measured: Measurements, gate: GateConfig) -> list[tuple[str, bool, bool]]:
    """By check whether it passed, and whether it blocks."""
    return [(check.check, check.passed, check.blocking) for check in judge(measured, gate)]


def but(**arrived: object) -> Measurements:
    """The ordinary release with other counts of what has arrived."""
    return replace(ORDINARY, arrived=replace(ORDINARY.arrived, **arrived))  # type: ignore[arg-type]


def lists(items: Sequence[Sequence[int]], n_ratings: int = 50) -> pl.DataFrame:
    """First pages, one a user."""
    rows = [
        (user, rank, item, False, n_ratings)
        for user, page in enumerate(items)
        for rank, item in enumerate(page, start=1)
    ]
    return pl.DataFrame(rows, ["user_id", "rank", "item_id", "is_filler", "n_ratings"], orient="row")


def messages(checks: Sequence[Check]) -> str:
    """All that the failed checks say."""
    return "\n".join(check.message for check in checks if not check.passed)
