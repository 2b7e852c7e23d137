"""Who tries again to reach a source: scheduled runs, and only where that may help."""

from types import SimpleNamespace

import pytest
from prefect.states import Failed

from tasks.steps.ingest import DELAYS, ingest
from warehouse.errors import MatineeError, Unreachable


def is_tried_again(error: Exception) -> bool:
    return ingest.retry_condition_fn(ingest, None, Failed(data=error))


def test_a_person_who_waits_sees_the_error_at_once() -> None:
    assert not is_tried_again(Unreachable("no network"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Unreachable("no network"), True),
        (OSError("the disk does not answer"), True),
        (MatineeError("a broken file"), False),
        (ValueError("a mistake in the code"), False),
    ],
)
def test_a_scheduled_run_tries_again_what_may_pass(
    error: Exception, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.steps.ingest.deployment", SimpleNamespace(id="of the schedule"))
    assert is_tried_again(error) is expected
    assert ingest.retries == len(DELAYS)
