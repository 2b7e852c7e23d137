"""All that a Prefect server must know of Matinee: work pool, publication limit, deployments, alarms."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import httpx

from flows.limits import PUBLISHING
from tasks import settings
from tasks.errors import MatineeError
from tasks.version import ROOT

POOL = "matinee"
"""Work pool of the deployments."""

NO_CAUSE = "An exception occurred."
"""Line that Prefect's command ends with after a traceback."""

ALERTS = "alerts.log"
"""File of a home that alarms are written to by default."""


def prefect(*words: str) -> list[str]:
    """The words of a call of Prefect's command."""
    return [str(Path(sys.executable).parent / "prefect"), "--no-prompt", *words]


def deploy() -> tuple[Path, list[str]]:
    """Register all; returns the file that Prefect's words are in, and the names of the alarms.

    Raises:
        MatineeError: no server is named, or it does not answer, or Prefect refuses something.
    """
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        raise MatineeError("name the server: export PREFECT_API_URL=http://127.0.0.1:4200/api")
    try:
        httpx.get(f"{url}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise MatineeError(f"PREFECT_API_URL={url} does not answer ({error}): is the server up?") from None
    file = settings.home() / "deploy.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as log:
        return file, register(log)


def register(log: IO[bytes]) -> list[str]:
    """Register all at the server of PREFECT_API_URL, safe to repeat; returns the names of the alarms.

    Raises:
        MatineeError: Prefect refuses something; all that it printed is in the log.
    """
    _run(log, "work-pool", "create", POOL, "--type", "process", "--overwrite")
    _run(log, "deploy", "--all")
    # Only now, when PREFECT_API_URL is set: Prefect reads it at its import.
    from prefect.client.orchestration import get_client

    from flows.alerts.automations import register as register_alarms

    try:
        with get_client(sync_client=True) as client:
            client.upsert_global_concurrency_limit_by_name(PUBLISHING, 1)
        return register_alarms(settings.environment().alert_block, settings.home() / ALERTS)
    except httpx.HTTPError as error:
        cause = str(error).splitlines()[0]
        raise MatineeError(f"Prefect's server did not take the alarms: {cause}; try again") from None


def _run(log: IO[bytes], *words: str) -> None:
    """One call of Prefect's command; all that it prints goes to the log, a failure is one line."""
    # prefect.yaml names the folder that it lies in by $PWD.
    done = subprocess.run(
        prefect(*words),
        cwd=ROOT,
        env=os.environ | {"PWD": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    log.write(done.stdout)
    log.flush()
    if done.returncode != 0:
        lines = [line.strip() for line in done.stdout.decode(errors="replace").splitlines()]
        last = next((line for line in reversed(lines) if line not in ("", NO_CAUSE)), "without a word")
        raise MatineeError(f"`prefect {' '.join(words)}` failed: {last} (all of it: the end of {log.name})")
