"""The report on an experiment: what each treatment arm's users watched of what they were shown."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.config import choices
from models.experiments.comparison import Outcomes, compare, sample_ratio, watched_fraction
from models.experiments.config import ExperimentConfig
from models.experiments.estimates import Estimate
from models.experiments.off_policy import Logged, doubly_robust, ips, snips
from tasks import settings
from tasks.commands.answer import Answer
from warehouse.errors import MatineeError
from warehouse.releases import journal, outcomes, serving
from warehouse.releases.outcomes import Exposed

CONTROL = 0
"""Number of the control, the first of the arms."""

RARE, MOSTLY = 0.5, 0.5
"""Propensity below which a film was drawn by chance, and the fraction of such films in the lists of a release
above which it made the exposures: of another one's draws hardly any is listed at its very rank."""

SUSPICIOUS = 0.001
"""Probability of the users of the arms below which the comparison cannot be trusted."""


def experiment(name: str, release: str | None = None) -> Answer:
    """Users, exposures and watched fraction of each arm, differences to the control, off-policy estimates.

    The latter are of the lists of a release, by default the published one.

    Raises:
        MatineeError: no release had the experiment, or the release is not kept.
    """
    home = settings.home()
    release = release or serving.published_release(home)
    config, started_at = _configured(home, name)
    found = outcomes.read(home, name, config.window_days, release, datetime.fromisoformat(started_at))
    if is_own := _is_of_its_own(found.drawn):
        found = replace(found, drawn=found.drawn.clear())
    answer = {
        "experiment": name,
        "layer": config.layer,
        "started_at": started_at,
        "window_days": config.window_days,
        "release_id": release,
        **_measured(config, found),
    }
    return answer | {"notes": list(_notes(name, config, found, answer, is_own))}


def _configured(home: Path, name: str) -> tuple[ExperimentConfig, str]:
    """The experiment as the newest release had it that had it, and since when: fractions may have changed."""
    releases = [
        (row["as_of"], json.loads(row["config"]).get("experiments", {})) for row in journal.publications(home)
    ]
    having = [(as_of, experiments[name]) for as_of, experiments in releases if name in experiments]
    if not having:
        names = tuple(dict.fromkeys(other for _, experiments in releases for other in experiments))
        if not names:
            raise MatineeError("no release had an experiment: set one in `experiments` of matinee.toml")
        raise MatineeError(choices("experiment", name, names))
    newest = having[-1][1]
    alike = takewhile(lambda of: _without_fractions(of[1]) == _without_fractions(newest), reversed(having))
    return ExperimentConfig(**newest), min(as_of for as_of, _ in alike)


def _without_fractions(experiment: dict[str, Any]) -> dict[str, Any]:
    """The settings of an experiment that decide what its arms show; a ramp goes on with the same arms."""
    return experiment | {"arms": {name: arm["overrides"] for name, arm in experiment["arms"].items()}}


def _measured(config: ExperimentConfig, found: Exposed) -> Answer:
    """The arms, the control first, with all that can be told of them."""
    arms = sorted(config.arms, key=lambda arm: (bool(config.arms[arm].overrides), arm))
    seen = _outcomes(found.users, arms)
    rows = [
        {"arm": arm, "fraction": config.arms[arm].fraction, **_row(seen, number)}
        for number, arm in enumerate(arms)
    ]
    n_users, fractions = [row["users"] for row in rows], [row["fraction"] for row in rows]
    return {
        "arms": rows,
        "sample_ratio_p": sample_ratio(n_users, fractions) if any(n_users) else None,
        "off_policy": [_off_policy(arm, found.drawn.filter(pl.col("arm") == arm)) for arm in arms],
    }


def _is_of_its_own(drawn: pl.DataFrame) -> bool:
    """True if the release made the exposures: films that were drawn stand in its lists as they were shown.

    Its lists are those draws then, not lists that a draw met by chance, and no weight of theirs is right.
    """
    own = drawn.filter(pl.col("propensity") < RARE)["is_own"].mean()
    return own is not None and float(own) > MOSTLY  # type: ignore[arg-type]


def _outcomes(users: pl.DataFrame, arms: list[str]) -> Outcomes:
    """The users who were in one arm alone, by the number of the arm."""
    users = users.filter(pl.col("n_arms") == 1, pl.col("arm").is_in(arms))
    numbers = {arm: number for number, arm in enumerate(arms)}
    values = (users[name].cast(pl.Float64).to_numpy() for name in ("n_exposures", "n_watched", "n_before"))
    n_exposures, n_watched, n_before = values
    arm = users["arm"].replace_strict(numbers, return_dtype=pl.Int32).to_numpy()
    return Outcomes(arm, n_exposures, n_watched, np.log1p(n_before))


def _row(seen: Outcomes, arm: int) -> Answer:
    mask = seen.arm == arm
    row: Answer = {
        "users": int(mask.sum()),
        "exposures": int(seen.n_exposures[mask].sum()),
        "watched": int(seen.n_watched[mask].sum()),
        "watched_fraction": _interval(watched_fraction(seen, arm)),
    }
    if arm == CONTROL or not mask.any() or not (seen.arm == CONTROL).any():
        return row | dict.fromkeys(("difference", "adjusted", "p_value", "detectable"))
    found = compare(seen, arm, CONTROL)
    return row | {
        "difference": _interval(found.difference),
        "adjusted": _interval(found.adjusted),
        "p_value": _number(found.adjusted.p_value),
        "detectable": _number(found.detectable),
    }


def _off_policy(arm: str, drawn: pl.DataFrame) -> Answer:
    """Estimates of the watched fraction of the lists of an arm, from exposures at their ranks."""
    listed, propensity, watched = (
        drawn[name].cast(pl.Float64).to_numpy() for name in ("is_listed", "propensity", "is_watched")
    )
    user = np.unique(drawn["user_id"].to_numpy(), return_inverse=True)[1]
    logged = Logged(user, watched, listed / propensity)
    by_rank = drawn.select(pl.col("is_watched").cast(pl.Float64).mean().over("rank"))["is_watched"].to_numpy()
    return {
        "arm": arm,
        "exposures": drawn.height,
        "effective_size": logged.effective_size,
        "ips": _interval(ips(logged)),
        "snips": _interval(snips(logged)),
        "doubly_robust": _interval(doubly_robust(logged, by_rank, by_rank)),
    }


def _notes(
    name: str, config: ExperimentConfig, found: Exposed, answer: Answer, is_own: bool
) -> Iterator[str]:
    """Sentences on what is missing or left out; ``is_own`` if the release made the exposures."""
    moved = int((found.users["n_arms"] > 1).sum())
    if not found.n_reported:
        yield "nothing was reported as shown: `matinee shown FILE` takes reports"
    elif not found.n_exposures:
        yield f"no exposure names an arm of {name}: report the column `experiment` of `recommendations`"
    if found.n_recent:
        days = f"the {config.window_days:g} days after them are not over at the newest rating"
        yield f"left out: {found.n_recent} exposures, because {days}"
    if moved:
        yield f"left out: {moved} users who were in several arms"
    if (p_value := answer["sample_ratio_p"]) is not None and p_value < SUSPICIOUS:
        yield f"the arms do not have the users that they should (p = {p_value:.1g}): trust no difference"
    if is_own:
        yield (
            f"no off-policy estimate of release {answer['release_id']}: the exposures are of its own lists, "
            "whose watched fraction is above; --release names another one"
        )
    elif not any(row["effective_size"] for row in answer["off_policy"]):
        yield (
            f"no off-policy estimate of release {answer['release_id']}: no exposure since its as_of has a "
            "propensity and shows the film that it lists at that rank"
        )


def _interval(estimate: Estimate) -> Answer | None:
    """Value and interval; None where nothing is known."""
    low, high = map(_number, estimate.interval)
    value = _number(estimate.value)
    return None if value is None else {"value": value, "low": low, "high": high}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
