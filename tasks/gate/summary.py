"""The page of a run: the verdict, metrics against earlier releases, what changed, how long it took."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from models.config import changed_keys
from tasks.gate.verdict import verdict
from warehouse.releases.checks import Check

WEEK = timedelta(days=6.5)
"""A release that is older by this, or more, is of last week."""

METRICS = "metrics: "
"""The checks of metrics, whose names end with that of a model."""

LONGEST = 3
"""Steps that are named with their time, those that took longest."""

MORE = "More: `matinee status`, and with plots `matinee report`."
"""The last line."""

CHANGES = ("overlap", "coverage", "volume")
"""Checks, by the first word, whose messages say what changed."""


@dataclass(frozen=True)
class Made:
    """One run, as far as its page needs to know it."""

    release_id: str
    as_of: datetime
    n_events: int
    config: Mapping[str, Any]
    checks: Sequence[Check]
    steps: Mapping[str, float] = field(default_factory=dict)  # seconds


def summary(made: Made, earlier: Sequence[Mapping[str, Any]]) -> str:
    """Markdown that begins with the verdict; ``earlier`` has full releases as the journal measured them."""
    before = [row for row in earlier if row["release_id"] < made.release_id and _at(row) <= made.as_of]
    last_week = [row for row in before[:-1] if _at(row) <= made.as_of - WEEK]
    parts = (
        verdict(made.release_id, made.checks),
        _metrics(made, before[-1:], last_week[-1:]),
        _section("What changed", _changes(made, before[-1:])),
        _section("How long", _times(made.steps)),
        MORE,
    )
    return "\n\n".join(filter(None, parts))


def _section(title: str, lines: Iterator[str]) -> str:
    items = [f"- {line}" for line in lines]
    return "\n".join([f"## {title}", "", *items]) if items else ""


def _metrics(made: Made, *earlier: Sequence[Mapping[str, Any]]) -> str:
    """A table of the metrics, with what they were in each of the earlier releases that there are."""
    values = {check.check: check.value for check in made.checks if check.check.startswith(METRICS)}
    then = [row for rows in earlier for row in rows]
    if not values:
        return ""
    names = ("before", "a week before")
    heads = [f"{name}, as of {_at(row):%Y-%m-%d %H:%M}" for name, row in zip(names, then, strict=False)]
    lines = [
        "## NDCG on the holdout",
        "",
        " | ".join(["| model | now", *heads]) + " |",
        "|---" + "|---:" * (1 + len(then)) + "|",
    ]
    for name, value in values.items():
        cells = [_compared(value, row["measured"].get(name)) for row in then]
        lines.append(" | ".join([f"| {name.removeprefix(METRICS)}", f"{value:.4f}", *cells]) + " |")
    return "\n".join(lines)


def _compared(now: float | None, then: float | None) -> str:
    """An earlier value, and an arrow for where it has gone since."""
    if now is None or then is None:
        return ""
    change = (now - then) / then if then else 0.0
    arrow = "=" if abs(change) < 0.0005 else "▲" if change > 0 else "▼"
    return f"{then:.4f} {arrow}" + ("" if arrow == "=" else f" {abs(change):.1%}")


def _changes(made: Made, before: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in before:
        more = made.n_events - row["n_events"]
        yield f"{more:+,} ratings since the full release as of {_at(row)} UTC: {made.n_events:,}"
        settings = sorted(changed_keys(made.config, json.loads(row["config"])))
        if settings:
            yield f"settings: {', '.join(f'`{key}`' for key in settings)}"
    for check in made.checks:
        if check.check.partition(":")[0] in CHANGES:
            yield check.message


def _times(steps: Mapping[str, float]) -> Iterator[str]:
    if steps:
        longest = sorted(steps, key=lambda name: -steps[name])[:LONGEST]
        named = ", ".join(f"{name} {steps[name]:,.1f} s" for name in longest)
        yield f"{sum(steps.values()):,.1f} s in {len(steps)} steps; longest: {named}"


def _at(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(row["as_of"]))
