"""Whose turn it is to publish, when another run holds the limit."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.runtime import flow_run

from flows import publishing
from flows.naming import say_why
from tasks.errors import Held, MatineeError


@pytest.fixture
def limit(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A limit of one holder, as ``make serve`` makes it."""
    name = "matinee-test"
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))
        monkeypatch.setattr(publishing, "PUBLISHING", name)
        yield name
        client.delete_global_concurrency_limit_by_name(name)


def test_a_limit_that_a_killed_run_holds_blocks_nobody_for_good(
    limit: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(publishing, "PATIENCE", 1.0)
    published = []
    with caplog.at_level(logging.WARNING, "matinee"), publishing.in_turn():
        published.append("free")
    assert caplog.text == ""
    with concurrency(limit, occupy=1), caplog.at_level(logging.WARNING, "matinee"), publishing.in_turn():
        published.append("held")
    assert published == ["free", "held"]
    assert f"the limit {limit} was not free" in caplog.text


def test_what_fails_while_it_publishes_is_raised(limit: str) -> None:
    with pytest.raises(TimeoutError, match="the disk"), publishing.in_turn():
        raise TimeoutError("the disk does not answer")


def test_a_held_run_says_what_failed_in_its_state_and_its_name(prefect_server: None) -> None:
    error = Held(
        "release r is held: top film: 0.97 of the first pages (at most 0.95); what is published stays"
    )
    runs = []

    @flow(flow_run_name="nightly 2026-11-27 03:00", on_failure=[say_why])
    def nightly() -> object:
        runs.append(flow_run.id)
        return publishing.held(error)

    with pytest.raises(Held, match="top film"):
        nightly()
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(runs[0])
    assert (run.state.name, run.state.type.value, run.state.message) == ("Held", "FAILED", str(error))
    assert run.name == (
        "nightly 2026-11-27 03:00: release r is held: top film: 0.97 of the first pages (at most 0.95): "
        "see `matinee releases`"
    )


def test_a_failed_run_is_named_for_its_error(prefect_server: None) -> None:
    runs = []

    @flow(flow_run_name="nightly 2026-11-27 03:00", on_failure=[say_why])
    def nightly() -> None:
        runs.append(flow_run.id)
        raise MatineeError(
            "day/: 10 ratings in ratings.csv, where ratings.csv.rows promises 20; fetch both again"
        )

    with pytest.raises(MatineeError, match="promises 20"):
        nightly()
    with get_client(sync_client=True) as client:
        name = client.read_flow_run(runs[0]).name
    assert name == (
        "nightly 2026-11-27 03:00: day/: 10 ratings in ratings.csv, where ratings.csv.rows promises 20"
    )


def test_a_report_that_finds_no_space_is_one_line_and_the_release_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "report.html"))

    monkeypatch.setattr("tasks.commands.report.read", full)
    run = SimpleNamespace(home=tmp_path, id="r", file=tmp_path.joinpath)
    with caplog.at_level(logging.WARNING, "matinee"):
        publishing.write_report.fn(run)
    (record,) = caplog.records
    assert record.exc_info is None
    assert record.getMessage().startswith("the report of release r was not written: the disk of ")
