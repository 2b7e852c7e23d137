"""The start of a run: which events it sees, and under which name."""

import logging
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import data, settings
from tasks.step import Meter, record
from tasks.steps.features import READ_DIGEST
from tasks.steps.train import described
from warehouse.errors import MatineeError
from warehouse.events import log as event_log
from warehouse.events.log import IngestReport
from warehouse.releases import serving
from warehouse.runs import run as runs
from warehouse.runs import snapshot
from warehouse.runs.run import Json, Run

log = logging.getLogger("matinee")

TRAINING = ("learner", "learner_config", "objective", "seed")
"""What of a configuration a model must share with the one that it goes on from."""

__all__ = ["Run", "check_published", "describe", "parse_as_of", "start", "start_incremental"]


@task(name="start", task_run_name="start", cache_policy=NO_CACHE)
def start(
    home: Path, as_of: str | None, mode: str | None, config: Json, ingested: tuple[IngestReport, Meter] | None
) -> Run:
    """Begin a full run over the log as it is now, warm or cold; by default warm if anything is to warm from.

    Its parent is the release whose parameters it goes on from. Raises MatineeError without any event
    before ``as_of``, and if it cannot be warm though it must.
    """
    run = describe(home, "full", as_of, config)
    parent = None if mode == "cold" else serving.newest_full(home, run.as_of)
    if mode == "warm" and parent is None:
        raise MatineeError(f"no full release as of {run.as_of} or before is kept: use --mode cold")
    if parent is not None and not _goes_on_from(runs.read(home, parent), run):
        if mode == "warm":
            raise MatineeError(f"the model of release {parent} is another one: use --mode cold")
        log.info("release %s was computed otherwise: training starts from scratch", parent)
        parent = None
    run = replace(run, parent_id=parent, config=config | {"mode": "warm" if parent else "cold"})
    runs.begin(run)
    log.info("as of %s UTC, %s", run.as_of, f"warm from release {parent}" if parent else "cold")
    if ingested is not None:
        report, meter = ingested
        record(run, "ingest", [report.source], ["events"], {"events": report.rows_logged}, meter)
    return run


@task(name="start", task_run_name="start", cache_policy=NO_CACHE)
def start_incremental(home: Path, as_of: str | None) -> Run | None:
    """Begin a run over what is new since the current release; None if nothing is.

    It goes by the configuration of its parent. Raises MatineeError if nothing is published, or if
    ``as_of`` is before that of the current release.
    """
    parent = runs.read(home, serving.release_of(serving.current_file(home).readlink()))
    learner = parent.config.get("learner")
    made_alike = learner is not None and parent.config["learner_config"] == described(learner)
    if not made_alike or parent.config.get("features") != READ_DIGEST:
        raise MatineeError(f"release {parent.id} was made by an earlier version: run `matinee nightly` first")
    if as_of is not None and parse_as_of(as_of) < parent.as_of:
        raise MatineeError(f"the current release is as of {parent.as_of} UTC already: choose a later --as-of")
    run = replace(describe(home, "incremental", as_of, parent.config), parent_id=parent.id)
    run = replace(run, as_of=max(run.as_of, parent.as_of))
    if not len(data.new_rows(run, parent)):
        log.info("nothing new since release %s, as of %s UTC", parent.id, parent.as_of)
        return None
    runs.begin(run)
    return run


def check_published() -> None:
    """Raise MatineeError now, not in the middle of a flow, if nothing is published."""
    serving.current_file(settings.home())


def describe(home: Path, kind: str, as_of: str | None, config: Json) -> Run:
    """A run over the log as it is now, not begun. Raises MatineeError without any event before ``as_of``."""
    batches = tuple(batch.path.name for batch in event_log.batches(home))
    span = snapshot.span(home, batches)
    if span is None:
        raise MatineeError(f"the log in {home} has no ratings: ingest some with `matinee ingest SOURCE`")
    moment = span[1].replace(microsecond=0) + timedelta(seconds=1) if as_of is None else parse_as_of(as_of)
    if moment <= span[0]:
        raise MatineeError(f"no rating is before {moment} UTC: the log spans {span[0]} to {span[1]}")
    now = runs.utc_now()
    return Run(
        id=runs.new_id(now),
        home=home,
        kind=kind,
        as_of=moment,
        batches=batches,
        parent_id=None,
        config=config,
        source=event_log.dataset_name(home) or "unknown",
        code_version=code_version(),
        created_at=now,
        journal_length=len(serving.journal(home)),
    )


def _goes_on_from(parent: Run, run: Run) -> bool:
    """Whether the parent's model is trained as this run's would be."""
    return all(parent.config.get(name) == run.config[name] for name in TRAINING)


def parse_as_of(text: str) -> datetime:
    """ISO 8601 to naive UTC; without an offset it is UTC. Raises MatineeError."""
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        example = "2003-01-01T00:00:00Z"
        raise MatineeError(f"'{text}' is not a time in ISO 8601: write it like {example}") from None


def code_version() -> str:
    """The version of the package, with the commit where the code is a git checkout."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return version("matinee")
    return f"{version('matinee')}+{commit}"
