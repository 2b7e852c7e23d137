"""Replay: what each way of keeping a model up to date would have been worth on past days."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC
from pathlib import Path
from typing import Any

from models.config import overlaid
from models.dataset import DAY
from models.evaluation.split import day
from models.pipeline import replay as living
from models.pipeline.channels import new_incremental
from models.pipeline.replay import METRICS, POLICIES, Replayed
from tasks import config as configuration
from tasks import settings
from tasks.commands.evaluate import read_log
from tasks.steps.start import parse_as_of
from warehouse import atomic
from warehouse.errors import MatineeError
from warehouse.evaluation import check_writable

logger = logging.getLogger("matinee")

CONTROL = "hourly refresh"
"""The policy that all others are compared with: it tells learning from mere refreshing."""


def replay(
    begin: str,
    end: str,
    source: str | None = None,
    seed: int | None = None,
    out: Path | None = None,
    config: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Replay whole days, UTC, from the day ``begin`` to the day ``end``, both included.

    The channel that learns on is the one of the configuration; ``config`` has settings that win over
    matinee.toml, ``seed`` is short for one of them. The answer has seed, control, rows by policy, slice and
    metric, and recall@50 by day and policy; ``out`` gets it as JSON.

    Raises:
        MatineeError: a day is none, or the log does not hold it, or no channel learns on.
    """
    whole = configuration.load(overlaid(config or {}, {} if seed is None else {"seed": seed}))
    channel = whole.incremental.channel
    if channel is None:
        raise MatineeError("none of recall.channels learns on: there is nothing to replay")
    first, last = _day(begin), _day(end) + DAY
    if last <= first:
        raise MatineeError(f"--to {end} is before --from {begin}")
    if out is not None:
        check_writable(out)
    dataset, _ = read_log(source or settings.source())
    newest = int(dataset.at.max()) // DAY * DAY
    if last > newest + DAY:
        raise MatineeError(f"--to {end} is after the newest rating, which is of {day(newest)}")
    try:
        found = living.replay(
            dataset, first, last, lambda: new_incremental(whole, channel), progress=logger.info
        )
    except ValueError as error:
        raise MatineeError(f"{begin} to {end} cannot be replayed on this log: {error}") from None
    answer = {
        "from": begin,
        "to": end,
        "seed": whole.seed,
        "control": CONTROL,
        "rows": [asdict(row) for row in living.summary(found, CONTROL)],
        "days": _by_day(found),
    }
    if out is not None:
        atomic.write_text(out, json.dumps(answer, indent=1))
    return answer


def _by_day(found: Replayed) -> list[dict[str, Any]]:
    """Means of the metrics by day, policy and whether the user had a history before the day."""
    rows = []
    for number in sorted({int(at) // DAY for at in found.at}):
        for has_history in (True, False):
            chosen = (found.at // DAY == number) & (found.has_history == has_history)
            if not chosen.any():
                continue
            for name in POLICIES:
                means = living.values(found.rank0[name][chosen]).mean(axis=0)
                about = {"day": day(number * DAY), "known": has_history}
                means_by_metric = dict(zip(METRICS, means.tolist(), strict=True))
                rows.append(about | {"policy": name, "n_events": int(chosen.sum())} | means_by_metric)
    return rows


def _day(text: str) -> int:
    """Midnight, UTC, in epoch seconds."""
    moment = parse_as_of(text).replace(tzinfo=UTC)
    if int(moment.timestamp()) % DAY:
        raise MatineeError(f"'{text}' is no day: replay lives through whole days, UTC, e.g. 2000-11-20")
    return int(moment.timestamp())
