"""The start of a run: what it may go on from."""

from pathlib import Path

import pytest

from tasks.steps import start
from tests import home as homes
from warehouse.errors import MatineeError
from warehouse.releases.rollback import roll_back


def test_an_hourly_after_a_rollback_to_a_stripped_run_asks_for_a_nightly(tmp_path: Path) -> None:
    home = homes.write_home(tmp_path)
    oldest, *_ = (homes.publish(home) for _ in range(4))
    roll_back(home, oldest.id)
    with pytest.raises(MatineeError, match="run `matinee nightly` first") as caught:
        start.start_incremental.fn(home, None, {})
    assert "\n" not in str(caught.value)
