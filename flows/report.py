"""The report on a release as a run."""

from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.limits import HOUR
from flows.naming import run_name, say_why
from tasks import settings
from tasks.commands.report import report as read


@task(name="write report", task_run_name="write report", cache_policy=NO_CACHE)
def write_report(file: Path, release: str | None, against: str | None) -> str:
    """Write the page; returns the release that it is about."""
    from flows.command.pages.report import write

    answer = read(release, against)
    write(answer, file)
    return str(answer["release"]["release_id"])


@flow(name="report", flow_run_name=run_name, on_failure=[say_why], timeout_seconds=HOUR)
def report(release: str | None = None, against: str | None = None, out: Path | None = None) -> str:
    """Write a page about a release: verdict, quality, data, channels, ranking, lists, steps.

    Args:
        release: The release, published or held. By default the published one.
        against: The release that it is compared with. By default the one it went on from.
        out: The page to write, on the worker. By default report.html in MATINEE_HOME.
    """
    file = out or settings.home() / "report.html"
    found = write_report(file, release, against)
    create_markdown_artifact(f"The report on release {found}: `{file}`", key="report")
    return str(file)
