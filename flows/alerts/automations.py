"""Alarms as automations of Prefect: a run failed, is late or silent, a release is damaged or too old."""

from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.events import EventTrigger
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, Posture
from prefect.exceptions import PrefectException

from flows.alerts.file import AlertFile
from tasks.errors import MatineeError
from tasks.steps.recover import DAMAGED

TAG, STATUS_TAG = "matinee", "matinee-status"
"""Tags of the deployments: of those that work, and of the one that looks whether they do."""

BLOCK = "matinee-alerts"
"""Name of the block that alarms are sent to unless another one is set."""

BROKEN = {f"prefect.flow-run.{state}" for state in ("Failed", "Held", "Crashed", "TimedOut")}
ENDED = BROKEN | {f"prefect.flow-run.{state}" for state in ("Completed", "Cancelled")}
STARTED = {f"prefect.flow-run.{state}" for state in ("Pending", "Running", "AwaitingConcurrencySlot")}
LATE, HEARTBEAT = "prefect.flow-run.Late", "prefect.flow-run.heartbeat"

BODY = (
    "{{ flow.name }} is {{ flow_run.state.name }}"
    "{{ ': ' ~ flow_run.state.message if flow_run.state.message }} {{ flow_run | ui_url }}"
)
"""Text of an alarm about a run, a template of Jinja."""

LATE_AFTER = timedelta(minutes=10)
"""Time that a scheduled run may wait for a worker."""

SILENT_AFTER = timedelta(minutes=30)
"""Time without a heartbeat, which comes every three minutes but while compiled code keeps Python waiting."""

REPEATED_AFTER = timedelta(hours=6)
"""Time in which an old release rings once."""


def register(chosen: str | None, file: Path) -> list[str]:
    """Create or update the automations on the server; returns their names. Those that are paused stay so.

    ``chosen`` is the block that alarms go to, TYPE/NAME; without it they go to the file.

    Raises:
        MatineeError: there is no such block, or it notifies nobody.
    """
    wanted = automations(_block(chosen, file))
    with get_client(sync_client=True) as client:
        for automation in wanted:
            if found := client.read_automations_by_name(automation.name):
                automation.enabled = found[0].enabled
                # An update sends the fields that were set: from a dump all are but that of the server.
                whole = AutomationCore(**automation.model_dump(exclude={"owner_resource"}))
                client.update_automation(found[0].id, whole)
            else:
                client.create_automation(automation)
    return [automation.name for automation in wanted]


def automations(block: UUID) -> list[AutomationCore]:
    """All alarms, sent to a block."""
    return [
        _alarm("run failed", block, _of(TAG, expect=BROKEN)),
        _alarm("release damaged", block, EventTrigger(expect={DAMAGED}), "{{ event.payload.message }}"),
        _alarm("release too old", block, _of(STATUS_TAG, expect=BROKEN, within=REPEATED_AFTER)),
        _alarm("run late", block, _missing(TAG, {LATE}, STARTED | ENDED, LATE_AFTER)),
        _alarm("run silent", block, _missing(TAG, {HEARTBEAT}, {HEARTBEAT} | ENDED, SILENT_AFTER)),
    ]


def _of(tag: str, **when: Any) -> EventTrigger:
    return EventTrigger(
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related={"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"},
        **when,
    )


def _missing(tag: str, after: set[str], expect: set[str], within: timedelta) -> EventTrigger:
    """Fires for each run that ``expect`` does not follow ``after`` of in time."""
    return _of(
        tag,
        posture=Posture.Proactive,
        after=after,
        expect=expect,
        within=within,
        for_each={"prefect.resource.id"},
    )


def _alarm(what: str, block: UUID, trigger: EventTrigger, body: str = BODY) -> AutomationCore:
    return AutomationCore(
        name=f"Matinee: {what}",
        description="What to do: docs/runbook.md",
        trigger=trigger,
        actions=[
            SendNotification(
                block_document_id=block,
                subject=f"{what}:",
                body=body,
            )
        ],
    )


def _block(chosen: str | None, file: Path) -> UUID:
    if chosen is None:
        return cast(UUID, AlertFile(file=file).save(BLOCK, overwrite=True))
    try:
        block = Block.load(chosen)
    except (ValueError, PrefectException) as error:
        raise MatineeError(f"MATINEE_ALERT_BLOCK={chosen!r}: see `prefect block ls` ({error})") from None
    if not isinstance(block, NotificationBlock) or block._block_document_id is None:
        raise MatineeError(f"MATINEE_ALERT_BLOCK={chosen!r} notifies nobody: name a notification block")
    return block._block_document_id
