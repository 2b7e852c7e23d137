"""Artifacts of a run in Prefect's UI."""

from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext, TaskRunContext

from tasks.cost import RowCounts
from warehouse.releases import queries

SAMPLE_USERS = 10
"""Users whose lists are shown, spread evenly over all."""

SAMPLE_FILMS = 5
"""Films shown of each list."""


@task(name="show artifacts", task_run_name="show artifacts", cache_policy=NO_CACHE)
def show_artifacts(home: Path, rows: RowCounts) -> None:
    """Leave tables of the steps, of the rows published and of ten users' lists as artifacts of the run."""
    release = queries.release(home)
    about = f"Release {release['release_id']}, as of {release['as_of']} UTC"
    create_table_artifact(
        table=[_readable(step) for step in queries.lineage(home)],
        key="steps",
        description=f"{about}: the steps",
    )
    create_table_artifact(
        table=[{"table": table, "rows": f"{count:,}"} for table, count in rows.items()],
        key="tables",
        description=f"{about}: rows by table",
    )
    lists = queries.sample_lists(home, SAMPLE_USERS, SAMPLE_FILMS)
    create_table_artifact(table=lists, key="lists", description=f"{about}: lists of {SAMPLE_USERS} users")


def show_verdict(markdown: str) -> None:
    """Leave the verdict on a held release as the artifact of its run; outside of a run there is none."""
    if FlowRunContext.get() is not None or TaskRunContext.get() is not None:
        create_markdown_artifact(markdown, key="verdict", description="Why the release is held")


def _readable(step: dict[str, Any]) -> dict[str, Any]:
    return {
        "step": step["step"],
        "rows": f"{step['rows']:,}",
        "seconds": f"{step['seconds']:.1f}",
        "peak memory": f"{step['peak_memory_mb']:,.0f} MiB",
        "outputs": ", ".join(step["outputs"]),
    }
