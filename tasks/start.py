"""The start of a run: which events it sees, and under which name."""

import subprocess
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.step import Meter, record
from warehouse import log as event_log
from warehouse import runs, serving, snapshot
from warehouse.errors import MatineeError
from warehouse.log import IngestReport
from warehouse.runs import Json, Run


@task(name="start", task_run_name="start", cache_policy=NO_CACHE)
def start(
    home: Path, kind: str, as_of: str | None, config: Json, ingested: tuple[IngestReport, Meter] | None
) -> Run:
    """Begin a run over the log as it is now. Raises MatineeError without any event before ``as_of``."""
    run = describe(home, kind, as_of, config)
    runs.begin(run)
    if ingested is not None:
        report, meter = ingested
        record(run, "ingest", [report.source], ["events"], {"events": report.rows_logged}, meter)
    return run


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


def parse_as_of(text: str) -> datetime:
    """ISO 8601 to naive UTC; without an offset it is UTC. Raises MatineeError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        example = "2003-01-01T00:00:00Z"
        raise MatineeError(f"'{text}' is not a time in ISO 8601: write it like {example}") from None
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def code_version() -> str:
    """The version of the package, with the commit where the code is a git checkout."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return version("matinee")
    return f"{version('matinee')}+{commit}"
