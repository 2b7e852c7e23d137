"""The start of a run: which events it sees, by which configuration, and under which name."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.dataset import Longs
from tasks import config as configuration
from tasks import declarations, settings
from tasks.config import Configuration
from tasks.cost import Cost
from tasks.step import record, steps_taken
from tasks.steps.recover import go_back_if_damaged
from tasks.version import code_version
from warehouse import store
from warehouse.errors import Damaged, MatineeError
from warehouse.events import block_list, exposures
from warehouse.events import log as event_log
from warehouse.events.log import IngestReport
from warehouse.releases import journal, retention, serving, shown
from warehouse.releases import soundness as releases
from warehouse.runs import block_list as requests
from warehouse.runs import files, lifecycle, snapshot, soundness
from warehouse.runs import shown as exposed
from warehouse.runs.run import Run, check_whole, new_run_id, utc_now, without_operation

logger = logging.getLogger("matinee")

NAMED = 5
"""Settings that a line names at most."""

INGEST = "ingest"
"""Name of the step before a run."""

__all__ = ["Run", "check_published", "describe", "parse_as_of", "start", "start_incremental"]


@task(name="start", task_run_name="start", cache_policy=NO_CACHE)
def start(
    home: Path,
    as_of: str | None,
    mode: str | None,
    config: Configuration,
    ingested: tuple[IngestReport, Cost] | None,
) -> Run:
    """Begin a full run over the log as it is now, warm or cold; by default warm if anything is to warm from.

    Its parent is the release whose parameters it goes on from.

    Raises:
        MatineeError: no event is before ``as_of``, or the run cannot be warm though it must.
    """
    declarations.check(config.features, config.optional_features)
    go_back_if_damaged(home)
    _take_back(home)
    run = describe(home, "full", as_of, config)
    parent = None if mode == "cold" else _parent(run, config, must_be=mode == "warm")
    run = _begun(replace(run, parent_id=parent))
    logger.info("as of %s UTC, %s", run.as_of, f"warm from release {parent}" if parent else "cold")
    if ingested is not None and INGEST not in steps_taken(run):
        report, cost = ingested
        record(run, INGEST, [report.source], ["events"], {"events": report.rows_logged}, cost)
    return run


def _parent(run: Run, config: Configuration, must_be: bool) -> str | None:
    """The newest full release, if the run can go on from it; else None, and the log says why.

    Raises:
        MatineeError: there is none, though it must be.
    """
    parent = journal.newest_full(run.home, run.as_of)
    if parent is None:
        if must_be:
            raise MatineeError(f"no full release as of {run.as_of} or before is kept: use --mode cold")
        return None
    if obstacle := _obstacle(run.home, parent, config):
        if must_be:
            raise MatineeError(f"release {parent} cannot be gone on from ({obstacle}): use --mode cold")
        logger.warning("training starts from scratch, not from release %s: %s", parent, obstacle)
        return None
    return parent


def _obstacle(home: Path, parent: str, config: Configuration) -> str | None:
    """The reason why a run cannot go on from a release, which is fetched; None if it can."""
    try:
        run = Run.read(home, parent)
        if difference := _difference(run, config):
            return difference
        lifecycle.fetch(home, parent)
        soundness.check(run)
    except Damaged as error:
        return str(error)
    return None


def _begun(run: Run) -> Run:
    """The run, begun, or one of the same description that failed or was killed, to go on with.

    What other full runs left is removed.
    """
    entries = journal.entries(run.home)
    found = run
    for left in retention.unfinished(run.home):
        rolled_back = any(entry["action"] == "rollback" for entry in entries[left.journal_length :])
        if found is run and _alike(left, run) and not rolled_back and lifecycle.adopt(left):
            found = replace(left, config=run.config)
            logger.info("going on with run %s, which had taken %d steps", left.id, len(steps_taken(left)))
        elif lifecycle.adopt(left):
            lifecycle.abandon(left)
    if found is run:
        lifecycle.begin(run)
    return found


def _alike(one: Run, other: Run) -> bool:
    """True if two runs make the same tables, wherever their parts are computed."""
    described = [run.description() for run in (one, other)]
    for description in described:
        config = description["config"]
        shard_users = config.get("engine", {}).get("shard_users")
        description["config"] = without_operation(config) | {"shard_users": shard_users}
        description |= dict.fromkeys(("id", "created_at", "journal_length"))
    return described[0] == described[1]


@task(name="start", task_run_name="start", cache_policy=NO_CACHE)
def start_incremental(home: Path, as_of: str | None, overrides: Mapping[str, Any]) -> Run | None:
    """Begin a run over what is new since the current release; None if nothing is.

    It goes by the configuration of its parent.

    Raises:
        MatineeError: nothing is published, or what retention has stripped; ``as_of`` is before that of the
            current release, or ``overrides`` name what an hourly run cannot change.
    """
    go_back_if_damaged(home)
    _take_back(home)
    parent = Run.read(home, serving.published_release(home))
    check_whole(parent)
    lifecycle.fetch(home, parent.id)
    soundness.check(parent)
    releases.check(home, parent.id)
    made_by = configuration.of(parent)
    config = configuration.for_hourly(made_by, overrides)
    if as_of is not None and parse_as_of(as_of) < parent.as_of:
        raise MatineeError(f"the current release is as of {parent.as_of} UTC already: choose a later --as-of")
    run = replace(describe(home, "incremental", as_of, config), parent_id=parent.id)
    run = replace(run, as_of=max(run.as_of, parent.as_of))
    if not snapshot.n_new_events(run, parent) and not _newly_reported(run, parent, config):
        logger.info("nothing new since release %s, as of %s UTC", parent.id, parent.as_of)
        return None
    if waiting := configuration.differing(config, configuration.load(overrides)):
        parts = list(dict.fromkeys(".".join(key.split(".")[:2]) for key in waiting))
        rest = f" and {len(parts) - NAMED} more (`matinee config --changed`)" if len(parts) > NAMED else ""
        logger.info("the next nightly will change %s", ", ".join(parts[:NAMED]) + rest)
    lifecycle.begin(run)
    return run


def check_published() -> None:
    """Look whether anything is published now, not in the middle of a flow.

    Raises:
        MatineeError: nothing is.
    """
    serving.current_file(settings.home())


def describe(home: Path, kind: str, as_of: str | None, config: Configuration) -> Run:
    """A run over the log as it is now, not begun.

    Raises:
        MatineeError: no event is before ``as_of``.
    """
    batches = tuple(batch.path.name for batch in event_log.batches(home))
    span = snapshot.span(home, batches)
    if span is None:
        raise MatineeError(
            f"the log in {store.name(home)} has no ratings: ingest some with `matinee ingest SOURCE`"
        )
    moment = span[1].replace(microsecond=0) + timedelta(seconds=1) if as_of is None else parse_as_of(as_of)
    if moment <= span[0]:
        raise MatineeError(f"no rating is before {moment} UTC: the log spans {span[0]} to {span[1]}")
    now = journal.next_moment(home, utc_now())
    return Run(
        id=new_run_id(now),
        home=home,
        kind=kind,
        as_of=moment,
        batches=batches,
        parent_id=None,
        config=configuration.stored(config),
        source=event_log.dataset_name(home) or "unknown",
        code_version=code_version(),
        created_at=now,
        journal_length=len(journal.entries(home)),
        exposures=_exposures(home, config.exposure.source),
        block_list=_requests(home) if config.block_list.requests else (),
    )


def _take_back(home: Path) -> None:
    """Let events return whose time had not come when they were ingested."""
    if returned := event_log.take_back(home, settings.environment().clock_tolerance):
        logger.info("%-22s %s ratings: their time has come", "back from quarantine", f"{returned:,}")


def _newly_reported(run: Run, parent: Run, config: Configuration) -> bool:
    """True if it was reported since that a user was shown something, or asked for something."""
    was_shown = config.exposure.source == exposures.REPORTED and _has_any(parent, exposed.new_to(run, parent))
    return was_shown or _has_any(parent, requests.new_to(run, parent))


def _has_any(parent: Run, user_ids: Longs) -> bool:
    """True if the run knows one of these users: others have no list to make anew."""
    return len(user_ids) > 0 and bool(np.isin(user_ids, files.read_table(parent, "users")["user_id"]).any())


def _requests(home: Path) -> tuple[str, ...]:
    return tuple(file.name for file in block_list.files(home))


def _exposures(home: Path, source: str) -> tuple[str, ...]:
    """The files of exposures that count, those of what was published by now among them."""
    if source == "none":
        return ()
    if source == exposures.PUBLISHED:
        shown.record_published(home)
    return tuple(file.name for file in exposures.files(home, source))


HELD_BACK = {
    "daily": ("min_targets", "max_fraction", "next_films"),
    "visit": ("max_fraction",),
    "next": ("next_films",),
}
"""Settings of the holdout that say what channels do not learn from, by objective."""


def _difference(parent: Run, config: Configuration) -> str | None:
    """The reason why the parent's incremental channel does not suit the configuration; None if it does."""
    try:
        before = configuration.of(parent)
    except MatineeError:
        return "it was made by another version"
    channel = config.incremental.channel
    if channel is None:
        return None
    if before.incremental.channel != channel:
        return f"it learned {before.incremental.channel or 'no channel'} on, not {channel}"
    differing = configuration.differing(before, config)
    holdout = (f"holdout.{name}" for name in HELD_BACK[config.objective])
    relevant = ("objective", "seed", *holdout, f"channels.{channel}")
    found = [key for key in differing if configuration.within(key, *relevant)]
    return f"{', '.join(found)} changed" if found else None


def parse_as_of(text: str) -> datetime:
    """ISO 8601 to naive UTC; without an offset it is UTC.

    Raises:
        MatineeError: the text is no time.
    """
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        example = "2003-01-01T00:00:00Z"
        raise MatineeError(f"'{text}' is not a time in ISO 8601: write it like {example}") from None
