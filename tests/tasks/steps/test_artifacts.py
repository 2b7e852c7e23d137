"""Artifacts of a run: a page that begins with the verdict, checks, and lists with whole titles."""

import json
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.runtime import flow_run

from tasks.steps.artifacts import show_artifacts, show_verdict
from tests import home as homes
from warehouse.releases.checks import Check

FAILED = Check("recommendations", "top film", False, 0.97, 0.95, True, "top film: 0.97 (at most 0.95)")


def artifacts(run_id: str) -> dict[str, Any]:
    """The data of a run's artifacts by key."""
    chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        return {artifact.key: artifact.data for artifact in client.read_artifacts(artifact_filter=chosen)}


def test_a_published_run_has_a_page_checks_and_lists(prefect_server: None, tmp_path: Path) -> None:
    homes.publish(homes.write_home(tmp_path))
    run = homes.publish(tmp_path)

    @flow
    def publishes() -> str:
        show_artifacts(run, {"recommendations": 60})
        return str(flow_run.id)

    found = artifacts(publishes())
    assert found["verdict"].startswith(f"# Published: release {run.id}")
    assert "+0 ratings since the full release" in found["verdict"]
    assert {row["result"] for row in json.loads(found["checks"])} == {"passed"}
    lists = json.loads(found["lists"])
    assert len({row["user"] for row in lists}) == 10
    assert all(row["film"].startswith("Film ") and row["why"] for row in lists)
    assert json.loads(found["tables"]) == [{"table": "recommendations", "rows": "60"}]


def test_a_held_run_has_the_checks_that_failed_first(prefect_server: None, tmp_path: Path) -> None:
    run = homes.publish(homes.write_home(tmp_path))
    passed = Check("events", "clock", True, 0.0, 1.0, True, "clock: 0")

    @flow
    def is_held() -> str:
        show_verdict(run, [passed, FAILED])
        return str(flow_run.id)

    found = artifacts(is_held())
    assert found["verdict"].startswith(f"# Held: release {run.id} is not published")
    assert [row["result"] for row in json.loads(found["checks"])] == ["blocks", "passed"]
