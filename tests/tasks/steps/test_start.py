"""The start of a run: what it may go on from."""

import contextlib
from pathlib import Path

import pytest

from tasks import config as configuration
from tasks.steps import start
from tests import home as homes
from tests.warehouse import batches
from warehouse.errors import MatineeError
from warehouse.events import log as event_log
from warehouse.releases.rollback import roll_back


def test_an_hourly_after_a_rollback_to_a_stripped_run_asks_for_a_nightly(tmp_path: Path) -> None:
    home = homes.write_home(tmp_path)
    oldest, *_ = (homes.publish(home) for _ in range(4))
    roll_back(home, oldest.id)
    with pytest.raises(MatineeError, match="run `matinee nightly` first") as caught:
        start.start_incremental.fn(home, None, {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["full", "incremental"])
def test_ratings_whose_time_has_come_are_in_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    home, past, future = tmp_path / "home", 10**9, 10**9 + 86_400
    monkeypatch.setattr(event_log, "now", lambda: "2001-09-09T01:46:40+00:00")  # 10**9
    ratings = [(7, 1, 5, past), (7, 2, 5, future), (8, 1, 4, 4_070_908_800)]
    event_log.ingest(home, batches.dat(tmp_path / "a", ratings))
    config = configuration.load()
    assert start.describe(home, "full", None, config).as_of.isoformat() == "2001-09-09T01:46:41"
    monkeypatch.setattr(event_log, "now", lambda: "2001-09-10T01:46:40+00:00")
    if kind == "full":
        run = start.start.fn(home, None, "cold", config, None)
        assert run.as_of.isoformat() == "2001-09-10T01:46:41"
    else:
        with contextlib.suppress(MatineeError):  # nothing is published
            start.start_incremental.fn(home, None, {})
    assert [batch.rows for batch in event_log.batches(home)] == [1, 1]
