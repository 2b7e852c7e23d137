"""The report on what is published as a run."""

from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.command.pages.report import html
from flows.limits import HOUR
from flows.naming import run_name
from tasks import settings
from tasks.commands import lookup


@task(name="write report", task_run_name="write report", cache_policy=NO_CACHE)
def write_report(file: Path) -> str:
    """Write the page; returns the release that it is about."""
    answer = lookup.report()
    file.write_text(html(answer), encoding="utf-8")
    return str(answer["release"]["release_id"])


@flow(name="report", flow_run_name=run_name, timeout_seconds=HOUR)
def report(out: Path | None = None) -> str:
    """Write a page with plots about what is published: lists, channels, training, ranking, steps.

    Args:
        out: The page to write, on the worker. By default report.html in MATINEE_HOME.
    """
    file = out or settings.home() / "report.html"
    release = write_report(file)
    create_markdown_artifact(f"The report on release {release}: `{file}`", key="report")
    return str(file)
