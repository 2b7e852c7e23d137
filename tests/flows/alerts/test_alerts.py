"""Alarms: which events ring, where they are written, and that registering twice changes nothing."""

import asyncio
import importlib
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.automations import Automation
from prefect.blocks.core import Block
from prefect.server.events.schemas.automations import Automation as ServerAutomation
from prefect.server.events.schemas.events import ReceivedEvent

from flows.alerts import AlertFile
from flows.alerts.automations import BLOCK, automations, register
from tasks.errors import MatineeError

ROOT = Path(__file__).parents[3]
ALARMS = ("run failed", "release damaged", "release too old", "run late", "run silent")
NAMES = {f"Matinee: {what}" for what in ALARMS}


def event(name: str, tag: str) -> ReceivedEvent:
    """As Prefect's server emits it when a flow run changes its state."""
    run = {"prefect.resource.id": f"prefect.flow-run.{uuid4()}", "prefect.resource.name": "nightly"}
    related = [{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}]
    return ReceivedEvent(
        occurred=datetime.now(UTC),
        event=f"prefect.flow-run.{name}",
        resource=run,
        related=related,
        id=uuid4(),
    )


def rings(name: str, tag: str) -> set[str]:
    """The alarms that expect an event, or begin to wait at it."""
    found = set()
    for automation in automations(uuid4()):
        trigger = ServerAutomation.model_validate(
            automation.model_dump(mode="json", exclude={"id"}) | {"id": uuid4()}
        ).trigger
        happened = event(name, tag)
        starts = trigger.after and happened.event in trigger.after
        if trigger.covers(happened) and (starts or (not trigger.after and trigger.expects(happened.event))):
            found.add(automation.name.removeprefix("Matinee: "))
    return found


@pytest.mark.parametrize(
    ("name", "tag", "expected"),
    [
        ("Failed", "matinee", {"run failed"}),
        ("Held", "matinee", {"run failed"}),
        ("Crashed", "matinee", {"run failed"}),
        ("TimedOut", "matinee", {"run failed"}),
        ("Failed", "matinee-status", {"release too old"}),
        ("Late", "matinee", {"run late"}),
        ("heartbeat", "matinee", {"run silent"}),
        ("Completed", "matinee", set()),
        ("Cancelled", "matinee", set()),
        ("Failed", "somebody-else", set()),
    ],
)
def test_an_event_rings_the_alarm_that_it_is_of(name: str, tag: str, expected: set[str]) -> None:
    assert rings(name, tag) == expected


def test_an_alarm_is_one_line_of_the_file(tmp_path: Path) -> None:
    notifier = AlertFile(file=tmp_path / "alerts.log")
    for subject in ("run failed:", None):
        asyncio.run(notifier.notify("nightly:\n  top film 0.97 (at most 0.95)", subject))
    first, second = notifier.file.read_text().splitlines()
    assert first.endswith("  run failed:  nightly: top film 0.97 (at most 0.95)")
    assert datetime.fromisoformat(first.split()[0]).tzinfo is not None
    assert second.endswith("Z  nightly: top film 0.97 (at most 0.95)")


def test_prefects_server_finds_the_notifier_by_its_entry_point() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    importlib.import_module(points["prefect.collections"]["matinee"])
    assert Block.get_block_class_from_key("alert-file") is AlertFile
    assert "notify" in AlertFile.get_block_capabilities()


def test_registering_again_changes_nothing_and_a_paused_alarm_stays_paused(
    prefect_server: None, tmp_path: Path
) -> None:
    assert set(register(None, tmp_path / "alerts.log")) == NAMES
    paused = Automation.read(name="Matinee: run late")
    paused.enabled = False
    paused.update()
    assert set(register(None, tmp_path / "other.log")) == NAMES
    found = {name: Automation.read(name=name) for name in NAMES}
    assert {name for name, automation in found.items() if not automation.enabled} == {paused.name}
    block = Block.load(f"alert-file/{BLOCK}")
    assert block.file == tmp_path / "other.log"
    assert {automation.actions[0].block_document_id for automation in found.values()} == {
        block._block_document_id
    }


def test_a_block_that_is_none_is_one_clear_line(prefect_server: None, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="MATINEE_ALERT_BLOCK='slack-webhook/nobody'"):
        register("slack-webhook/nobody", tmp_path / "alerts.log")
