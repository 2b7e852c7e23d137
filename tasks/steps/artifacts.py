"""Artifacts of a run in Prefect's UI."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext, TaskRunContext

from tasks.cost import RowCounts
from tasks.gate.summary import Made, summary
from tasks.gate.verdict import readable
from tasks.step import lineage
from warehouse.releases import journal, queries
from warehouse.releases.checks import Check
from warehouse.runs.run import Run

SAMPLE_USERS = 10
"""Users whose lists are shown, others in each release."""

SAMPLE_FILMS = 10
"""Films shown of each list."""


@task(name="show artifacts", task_run_name="show artifacts", cache_policy=NO_CACHE)
def show_artifacts(run: Run, rows: RowCounts) -> None:
    """Leave the verdict and tables of steps, checks, rows and ten users' lists as artifacts of the run."""
    show_verdict(run, [Check(**row) for row in queries.checks(run.home, run.id)])
    show_table("steps", [_readable(step) for step in lineage(run)], _about(run, "the steps"))
    counts = [{"table": table, "rows": f"{count:,}"} for table, count in rows.items()]
    show_table("tables", counts, _about(run, "rows by table"))
    lists = queries.sampled_films(run.home, SAMPLE_USERS, SAMPLE_FILMS)
    show_table("lists", lists, _about(run, f"lists of {SAMPLE_USERS} users"))


def show_verdict(run: Run, checks: Sequence[Check]) -> None:
    """Leave the page on a release, published or held, and its checks, those that failed first."""
    made = Made(
        run.id,
        run.as_of,
        run.manifest()["n_events"],
        run.config,
        checks,
        {step["step"]: step["seconds"] for step in lineage(run)},
    )
    if _is_shown():
        text = summary(made, journal.measured(run.home))
        create_markdown_artifact(text, key="verdict", description=_about(run, "the verdict"))
    failed_first = sorted(checks, key=lambda check: (check.passed, not check.blocking))
    show_table("checks", [_check(check) for check in failed_first], _about(run, "the checks"))


def show_table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """Leave a table as an artifact; outside of a run there is none."""
    if _is_shown() and rows:
        create_table_artifact(table=[dict(row) for row in rows], key=key, description=description)


def _is_shown() -> bool:
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def _about(run: Run, what: str) -> str:
    return f"Release {run.id}, as of {run.as_of} UTC: {what}"


def _check(check: Check) -> dict[str, Any]:
    numbers = {name: readable(value) for name, value in asdict(check).items() if name in ("value", "limit")}
    result = "passed" if check.passed else "blocks" if check.blocking else "warns"
    return {"result": result, "check": check.check, **numbers, "message": check.message}


def _readable(step: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "step": step["step"],
        "rows": f"{step['rows']:,}",
        "seconds": f"{step['seconds']:.1f}",
        "peak memory": f"{step['peak_memory_mb']:,.0f} MiB",
        "outputs": ", ".join(step["outputs"]),
    }
