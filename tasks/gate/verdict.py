"""The decision of the gate: checks of what was measured against limits, and the verdict for people."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from models.evaluation import stability
from tasks.gate.config import GateConfig
from tasks.gate.measures import Measurements, Metric
from warehouse.releases.checks import Check

EARLIER = 28
"""Full releases whose events a day are held against those of a new one, the newest."""

LEAST_EARLIER = 7
"""Full releases of which a spread can be told."""

LEAST_SPREAD = 0.1
"""Standard deviation of the log of events a day, at least: a steady source is not steadier than that."""

DEVIATIONS = 3.0
"""Standard errors of a metric that are chance: one release in 700 would lose more by it."""


def judge(measured: Measurements, gate: GateConfig) -> list[Check]:
    """All checks of a release, also those that pass or that there is too little for."""
    return [*_of_data(measured, gate), *_of_models(measured, gate), *_of_lists(measured, gate)]


def _of_data(measured: Measurements, gate: GateConfig) -> Iterator[Check]:
    arrived, enough = measured.arrived, gate.min_events
    check = _Checks("events", gate)
    # as_of is up to a second after the newest event.
    text = "seconds ahead of the clock is as_of"
    yield check.at_most("clock", measured.ahead, measured.tolerance + 1, text)
    is_enough = arrived.rows_read >= enough
    for name, rows, limit, text in (
        ("quarantined", arrived.broken, gate.max_quarantined, "of the rows of new batches are quarantined"),
        (
            "duplicates",
            arrived.duplicates,
            gate.max_duplicates,
            "of the rows of new batches are repeated ones",
        ),
    ):
        yield check.at_most(name, rows / max(arrived.rows_read, 1), limit, text, is_enough)
    text = "of the rows of its last delivery came from a source that sends everything each time"
    yield check.at_least("resent", arrived.resent, gate.min_resent, text, is_enough)
    is_enough = arrived.events >= enough
    most = max(gate.max_events_by_user, arrived.events / 10)
    yield check.at_most("user events", arrived.of_a_user, most, "new events are of one user", is_enough)
    of_a_film = arrived.of_a_film / max(arrived.events, 1)
    text = "of the new events are of one film"
    yield check.at_most("film events", of_a_film, gate.max_film_fraction, text, is_enough)
    if measured.volume is not None:
        earlier, now = measured.volume
        earlier = earlier[-EARLIER:]
        is_enough = len(earlier) >= LEAST_EARLIER and float(np.median(earlier)) >= enough and now > 0
        deviations = stability.log_deviations(earlier, now, LEAST_SPREAD) if is_enough else 0.0
        text = f"standard deviations from the usual events a day, with {now:,.0f}"
        yield check.at_least("volume", deviations, -gate.max_volume_deviations, text, is_enough)
    for name, found in measured.histograms.items():
        is_enough = min(found.before.sum(), found.after.sum()) >= enough
        limit = gate.max_psi
        if is_enough:
            limit += stability.psi_by_chance(len(found.before), found.users_before, found.users_after)
        value = stability.psi(found.before, found.after) if is_enough else 0.0
        text = f"is the PSI of {name} against the month before"
        yield check.at_most(f"drift: {name}", value, limit, text, is_enough)


def _of_models(measured: Measurements, gate: GateConfig) -> Iterator[Check]:
    check = _Checks("models", gate)
    for name, why in measured.defects.items():
        yield check.fails(f"states: {name}", why)
    if measured.n_states > len(measured.defects):
        text = f"{measured.n_states - len(measured.defects)} states are made of finite numbers"
        yield check.passes("states", text)
    check = _Checks("metrics", gate)
    for model, metric in measured.metrics.items():
        is_enough = metric.before is not None and min(metric.n_users, metric.n_before) >= gate.min_users
        least = 0.0
        if metric.before is not None and is_enough:
            least = (1 - gate.max_drop) * (metric.before - _by_chance(metric, metric.before))
        before = "" if metric.before is None else f", {metric.before:.4f} in the published release"
        text = f"is the NDCG of {model} on the holdout{before}"
        yield check.at_least(f"metrics: {model}", metric.value, max(least, 0.0), text, is_enough)


def _by_chance(metric: Metric, before: float) -> float:
    """The loss of NDCG that chance alone explains, users being drawn anew for the other release."""
    if metric.error is None or metric.error_before is None:
        alike = (before, metric.n_before, before, metric.n_users)
        return stability.change_by_chance(*alike, DEVIATIONS)
    return DEVIATIONS * math.hypot(metric.error, metric.error_before)


def _of_lists(measured: Measurements, gate: GateConfig) -> Iterator[Check]:
    check, pages = _Checks("recommendations", gate), measured.pages
    is_enough = pages.n_users >= gate.min_users
    text = "of the first pages have the same film"
    are_enough = pages.n_personal >= gate.min_users
    yield check.at_most("top film", pages.top_film, gate.max_top_film, text, are_enough)
    text = "of the first pages hold nothing that a channel recalled"
    yield check.at_most("fillers", pages.fillers, gate.max_fillers, text, is_enough)
    if pages.n_films_before is not None:
        least = gate.min_coverage * pages.n_films_before
        text = f"films are on first pages, {pages.n_films_before:,} in the published release"
        yield check.at_least("coverage", pages.n_films, least, text, is_enough)
    for segment, found in pages.overlap.items():
        mean = float(np.mean(found)) if len(found) else 1.0
        text = f"of the first pages of users with {segment} ratings are as published"
        is_enough = len(found) >= gate.min_users
        yield check.at_least(f"overlap: {segment}", mean, gate.min_overlap, text, is_enough)


class _Checks:
    """Makes the checks of one table; the name up to a colon says whether they block."""

    def __init__(self, table: str, gate: GateConfig) -> None:
        self._table, self._blocking = table, frozenset[str](gate.blocking)

    def at_most(self, name: str, value: float, limit: float, text: str, is_enough: bool = True) -> Check:
        """``value`` and ``text`` make a sentence; with too little to conclude from it passes."""
        return self._made(name, not is_enough or value <= limit, value, limit, text, "at most", is_enough)

    def at_least(self, name: str, value: float, limit: float, text: str, is_enough: bool = True) -> Check:
        """The same, with a lower limit."""
        return self._made(name, not is_enough or value >= limit, value, limit, text, "at least", is_enough)

    def passes(self, name: str, message: str) -> Check:
        """A check without a number, passed."""
        return Check(self._table, name, True, None, None, self._is_blocking(name), message)

    def fails(self, name: str, message: str) -> Check:
        """A check without a number, failed."""
        message = f"{name}: {message}"
        return Check(self._table, name, False, None, None, self._is_blocking(name), message)

    def _made(
        self, name: str, passed: bool, value: float, limit: float, text: str, bound: str, is_enough: bool
    ) -> Check:
        too_few = "" if is_enough else "; too few to conclude from"
        message = f"{name}: {readable(value)} {text} ({bound} {readable(limit)}{too_few})"
        return Check(self._table, name, passed, value, limit, self._is_blocking(name), message)

    def _is_blocking(self, name: str) -> bool:
        return name.partition(":")[0] in self._blocking


def readable(value: float | None) -> str:
    """A number as short as people read it; nothing for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def verdict(release: str, checks: Sequence[Check]) -> str:
    """The verdict in Markdown: held or not, what failed against which limit, and how to look further."""
    failed = sorted((check for check in checks if not check.passed), key=lambda check: not check.blocking)
    held = any(check.holds for check in checks)
    lines = [
        f"# Held: release {release} is not published" if held else f"# Published: release {release}",
        "",
        f"{len(checks) - len(failed)} of {len(checks)} checks passed"
        + ("; what was published before stays." if held else "."),
        "",
    ]
    if failed:
        lines += ["| | check | value | limit | |", "|---|---|---:|---:|---|"]
        lines += [_row(check) for check in failed]
    if held:
        file = f"serving/held-{release}.duckdb"
        lines += [
            "",
            "Look further (any DuckDB client opens the held tables):",
            "",
            "```console",
            f"$ matinee report {release}",
            f"$ matinee diff {release}",
            f"$ duckdb {file} 'from checks where not passed'",
            "```",
            "",
            "The next run starts anew from what is published. To publish this one all the same:",
            "",
            "```console",
            f'$ matinee publish {release} --force --why "..."',
            "```",
        ]
    return "\n".join(lines)


def _row(check: Check) -> str:
    value, limit = readable(check.value), readable(check.limit)
    text = check.message.replace("|", "\\|").replace("<", "&lt;")
    return f"| {'**blocks**' if check.blocking else 'warns'} | {check.check} | {value} | {limit} | {text} |"
